# Vault Agent keeps certificate, chain and private key in files of their own, for programs that want them so.
# vault agent -config=/etc/vault-agent/files.hcl

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

# Certificates are asked for again when about three quarters of what they had left are over, and not, as by default,
# nine tenths: the rest is for what may go wrong.
template_config {
  lease_renewal_threshold = 0.75
}

# The templates send the same fields to the same path, so the agent asks once for all three. The command runs once,
# when all files are written.

template {
  source               = "/etc/vault-agent/fullchain.ctmpl"
  destination          = "/etc/tls/www.example.com/fullchain.pem"
  error_on_missing_key = true

  exec {
    command = ["systemctl", "reload-or-restart", "nginx.service"]
    timeout = "30s"
  }
}

template {
  source               = "/etc/vault-agent/chain.ctmpl"
  destination          = "/etc/tls/www.example.com/chain.pem"
  error_on_missing_key = true

  exec {
    command = ["systemctl", "reload-or-restart", "nginx.service"]
    timeout = "30s"
  }
}

template {
  source               = "/etc/vault-agent/privkey.ctmpl"
  destination          = "/etc/tls/www.example.com/privkey.pem"
  perms                = "0600"
  error_on_missing_key = true

  exec {
    command = ["systemctl", "reload-or-restart", "nginx.service"]
    timeout = "30s"
  }
}
