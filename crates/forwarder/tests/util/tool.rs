//! Programs of other people that tests talk to. A test names those it needs with `needs!`.

use std::process::Command;

use test_needs::Need;

pub const CHROMIUM: Need = Need::Program("chromium", "chromium");
pub const CHROMEDRIVER: Need = Need::Program("chromedriver", "chromium-driver");
pub const CURL: Need = Need::Program("curl", "curl");
pub const HAPROXY: Need = Need::Program("haproxy", "haproxy");
pub const IP: Need = Need::Program("ip", "iproute2");
pub const NGINX: Need = Need::Program("nginx", "nginx");
pub const NGINX_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
pub const NGINX_STREAM: Need = Need::File(NGINX_MODULE, "libnginx-mod-stream");
pub const PYTHON: Need = Need::Program("python3", "python3");
pub const SCRIPT: Need = Need::Program("script", "bsdutils");
pub const SHA256SUM: Need = Need::Program("sha256sum", "coreutils");
pub const SOCAT: Need = Need::Program("socat", "socat");
pub const SS: Need = Need::Program("ss", "iproute2");
pub const TSHARK: Need = Need::Program("tshark", "tshark");
pub const TUN: Need = Need::File("/dev/net/tun", "the kernel's tun module");
pub const UNSHARE: Need = Need::Program("unshare", "util-linux");

/// The command for a program that the test has named.
#[track_caller]
pub fn tool(need: Need) -> Command {
    match need {
        Need::Program(name, _) => match test_needs::program(name) {
            Some(path) => Command::new(path),
            None => panic!("name it with needs!(…): {need}"),
        },
        _ => panic!("not a program: {need}"),
    }
}
