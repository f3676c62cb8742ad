# Who has to see and must change nothing: accounts, DNS providers, roles, and what was ordered and issued,
# without any private key or credential.
# For an engine enabled at pki-external-ca/.

path "pki-external-ca/config" {
  capabilities = ["read"]
}

path "pki-external-ca/config/acme-account" {
  capabilities = ["list"]
}

path "pki-external-ca/config/acme-account/+" {
  capabilities = ["read"]
}

path "pki-external-ca/config/acme-account/+/limits" {
  capabilities = ["read"]
}

path "pki-external-ca/config/dns/" {
  capabilities = ["list"]
}

path "pki-external-ca/config/dns/+/" {
  capabilities = ["list"]
}

path "pki-external-ca/config/dns/+/+" {
  capabilities = ["read"]
}

path "pki-external-ca/role" {
  capabilities = ["list"]
}

path "pki-external-ca/role/+" {
  capabilities = ["read"]
}

path "pki-external-ca/role/+/active-orders/" {
  capabilities = ["list"]
}

path "pki-external-ca/role/+/order/+/status" {
  capabilities = ["read"]
}

path "pki-external-ca/lookup/*" {
  capabilities = ["read", "list"]
}
