# Who has to see and must change nothing: accounts, roles, and what was ordered and issued, without any
# private key.
# For an engine enabled at pki-external-ca/.

path "pki-external-ca/config/acme-account" {
  capabilities = ["list"]
}

path "pki-external-ca/config/acme-account/+" {
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
