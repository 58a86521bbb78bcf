use crate::support::{is_alone, path, server, start};

/// Connections, each with a descriptor at both ends, in this process.
const COUNT: usize = 2000;

/// Bytes each: more than a release build takes, since a test's futures are larger, and this side has
/// a buffer and a half for each.
const EACH: usize = 24 * 1024;

#[test]
fn an_idle_connection_is_small() {
    if !is_alone("memory::an_idle_connection_is_small") {
        return;
    }
    let server = start(server().threads(1).max_connections(2 * COUNT), path);
    server.connect().get("/");
    let before = resident();
    let mut peers: Vec<_> = (0..COUNT).map(|_| server.connect()).collect();
    peers.iter_mut().for_each(|peer| assert_eq!(peer.get("/").status, 200));
    let each = resident().saturating_sub(before) / COUNT;
    println!("{each} bytes resident for each idle connection, both sides together");
    assert!(each <= EACH, "{each} bytes");
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}
