# One application with the role "web-servers": it orders certificates, answers the CA's challenges, and
# fetches certificate and key. It sees no other role, no account, no DNS provider, and nobody else's orders;
# which names it may have is the role's to say, and which provider proves them is the operator's. It cannot
# revoke: a stolen token must not take the site down.
# For an engine enabled at pki-external-ca/. Copy it for each role.

path "pki-external-ca/role/web-servers/new-order" {
  capabilities = ["create", "update"]
}

path "pki-external-ca/role/web-servers/order/+/status" {
  capabilities = ["read"]
}

path "pki-external-ca/role/web-servers/order/+/challenge" {
  capabilities = ["read"]
}

path "pki-external-ca/role/web-servers/order/+/challenges" {
  capabilities = ["read"]
}

path "pki-external-ca/role/web-servers/order/+/fulfilled-challenge" {
  capabilities = ["create", "update"]
}

path "pki-external-ca/role/web-servers/order/+/fetch-cert" {
  capabilities = ["read"]
}

path "pki-external-ca/role/web-servers/cached" {
  capabilities = ["read"]
}

# With a DNS provider for its names this path alone is enough.
path "pki-external-ca/role/web-servers/issue" {
  capabilities = ["create", "update"]
}
