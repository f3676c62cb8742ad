# The people who run the engine: they make accounts at CAs, DNS providers and roles for applications, watch
# orders, and revoke. They order no names anew and read no private keys; "fetch-cert" and "cached" are not here.
# For an engine enabled at pki-external-ca/.

path "pki-external-ca/config" {
  capabilities = ["create", "read", "update", "delete"]
}

path "pki-external-ca/config/acme-account" {
  capabilities = ["list"]
}

path "pki-external-ca/config/acme-account/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "pki-external-ca/config/acme-account/+/import" {
  capabilities = ["create", "update"]
}

path "pki-external-ca/config/acme-account/+/rotate-key" {
  capabilities = ["create", "update"]
}

# What the CA has refused. Whoever may delete it can use up what the CA allows.
path "pki-external-ca/config/acme-account/+/limits" {
  capabilities = ["read", "delete"]
}

path "pki-external-ca/config/dns/" {
  capabilities = ["list"]
}

path "pki-external-ca/config/dns/+/" {
  capabilities = ["list"]
}

path "pki-external-ca/config/dns/+/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "pki-external-ca/dns/test/workflow" {
  capabilities = ["create", "update"]
}

path "pki-external-ca/role" {
  capabilities = ["list"]
}

path "pki-external-ca/role/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "pki-external-ca/role/+/active-orders/" {
  capabilities = ["list"]
}

# To replace a certificate at once. The new one goes to whoever reads the old one.
path "pki-external-ca/role/+/renew" {
  capabilities = ["create", "update"]
}

path "pki-external-ca/role/+/order/+/status" {
  capabilities = ["read"]
}

path "pki-external-ca/role/+/order/+/revoke" {
  capabilities = ["create", "update"]
}

path "pki-external-ca/lookup/*" {
  capabilities = ["read", "list"]
}
