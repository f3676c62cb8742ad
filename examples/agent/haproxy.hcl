# Vault Agent keeps one file with certificate, chain and private key for HAProxy. Runs as root, for the reload.
# vault agent -config=/etc/vault-agent/haproxy.hcl

vault {
  address = "https://vault.example.com:8200"
}

auto_auth {
  method "approle" {
    config = {
      role_id_file_path                   = "/etc/vault-agent/role-id"
      secret_id_file_path                 = "/etc/vault-agent/secret-id"
      remove_secret_id_file_after_reading = false
    }
  }
}

# Certificates are asked for again when three quarters of their life are over, and not, as by default, nine tenths:
# the last quarter is for what may go wrong.
template_config {
  lease_renewal_threshold = 0.75
}

template {
  source      = "/etc/vault-agent/bundle.ctmpl"
  destination = "/etc/haproxy/certs/www.example.com.pem"
  perms       = "0600"

  exec {
    command = ["systemctl", "reload-or-restart", "haproxy.service"]
    timeout = "30s"
  }
}
