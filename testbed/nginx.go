package testbed

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// webLimit is how long a web server may take to listen.
const webLimit = 30 * time.Second

// NginxOptions says what nginx to start.
type NginxOptions struct {
	Dir   string // folder for everything it writes; it must exist
	Sites string // server blocks, as they stand in a file of conf.d; they listen on 127.0.0.1 only
	Addr  string // one of the addresses that they listen on, as host:port
}

// Nginx is a running nginx, as Debian's package nginx-light brings it.
type Nginx struct {
	*Process
	Addr            string // of the options
	AccessLog       string // the file with a line for each request
	program, config string
}

// StartNginx starts one. It returns when it listens.
func StartNginx(ctx context.Context, o NginxOptions) (*Nginx, error) {
	program, err := findSystemProgram("nginx", "nginx-light")
	if err != nil {
		return nil, err
	}
	n := &Nginx{Addr: o.Addr, AccessLog: filepath.Join(o.Dir, "access.log"), program: program, config: filepath.Join(o.Dir, "nginx.conf")}
	if err := os.WriteFile(n.config, []byte(o.config()), 0o600); err != nil {
		return nil, err
	}
	n.Process, err = start(ctx, launch{
		name: "nginx", path: program, args: []string{"-p", o.Dir, "-c", n.config}, log: filepath.Join(o.Dir, "nginx.log"),
	})
	if err != nil {
		return nil, err
	}
	return n, n.listens(ctx, o.Addr)
}

// config is the configuration file around the sites: nothing of it is in the folders of the package.
func (o NginxOptions) config() string {
	return fmt.Sprintf(`daemon off; user root; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr notice;
events { }
http {
	access_log %[1]s/access.log;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
%[2]s
}
`, o.Dir, o.Sites)
}

// ReloadCommand has it read its configuration anew, with all certificates, in a shell: what
// "systemctl reload nginx" does.
func (n *Nginx) ReloadCommand() string {
	return fmt.Sprintf("%s -c %s -s reload", n.program, n.config)
}

// listens waits until somebody listens at an address, and stops the process if it does not come to that.
func (p *Process) listens(ctx context.Context, address string) error {
	err := p.ready(ctx, webLimit, func(ctx context.Context) error {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	})
	if err != nil {
		p.Stop()
	}
	return err
}
