//! Flag, environment variable, config file, default.

use std::fs;

use tempfile::TempDir;

use crate::process::{Server, gateway, refusal};

/// A directory with a page in each of `flag`, `env`, `file` and here, and a config file.
fn site(config: &str) -> TempDir {
    let site = tempfile::tempdir().unwrap();
    for name in ["flag", "env", "file"] {
        fs::create_dir(site.path().join(name)).unwrap();
        fs::write(site.path().join(name).join("index.html"), name).unwrap();
    }
    fs::write(site.path().join("index.html"), "default").unwrap();
    fs::write(site.path().join("gateway.toml"), config).unwrap();
    site
}

/// The page, where `env` and `args` are given.
#[track_caller]
fn check(config: &str, env: &[(&str, &str)], args: &[&str], expected: &str) {
    let site = site(config);
    let mut command = gateway(site.path());
    command.envs(env.iter().copied()).args(["serve", "--port", "0"]).args(args);
    let page = Server::spawn(&mut command).get("/", "");
    assert!(page.ends_with(&format!("\r\n\r\n{expected}")), "{page}");
}

#[test]
fn a_value_comes_from_the_nearest() {
    let file = "[serve]\ndir = 'file'\n";
    let env = [("GATEWAY_DIR", "env")];
    check(file, &env, &["flag"], "flag");
    check(file, &env, &[], "env");
    check(file, &[], &[], "file");
    check("", &[], &[], "default");
}

#[test]
fn a_switch_can_be_turned_off_again() {
    let served = |env: &[(&str, &str)], args: &[&str]| {
        let site = site("[serve]\nhidden = true\n");
        fs::write(site.path().join(".hidden"), "").unwrap();
        let mut command = gateway(site.path());
        command.envs(env.iter().copied()).args(["serve", "--port", "0"]).args(args);
        Server::spawn(&mut command).get("/.hidden", "").starts_with("HTTP/1.1 200 ")
    };
    assert!(served(&[], &[]));
    assert!(!served(&[("GATEWAY_HIDDEN", "false")], &[]));
    assert!(served(&[("GATEWAY_HIDDEN", "no")], &["--hidden"]));
    assert!(!served(&[("GATEWAY_HIDDEN", "1")], &["--hidden=false"]));
}

#[test]
fn every_flag_has_its_name_in_the_file() {
    let config = "
        [serve]
        dir = 'file'
        port = 0
        bind = '127.0.0.1'
        server = 'tokio'
        max-connections = 100
        max-connections-per-address = 10
        trusted-proxy = ['10.0.0.0/8', 'unix']
        trusted-fields = 'x-forwarded'
        qr = false
        auth = 'ada:pw'
        spa = true
        404 = 'index.html'
        index = ['index.html', 'index.htm']
        cache = 'no-cache'
        cors = ['https://app.example']
        charset = 'utf-8'
        hidden = true
        follow-symlinks = true
        no-listing = true
        precompressed = true
        compress = true
        log = 'json'
        trace = true
        upload = false
        upload-limit = '4GiB'
    ";
    let site = site(config);
    let server = Server::spawn(gateway(site.path()).arg("serve"));
    let refused = server.get("/", "");
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    assert!(refused.contains("Server: gateway-tokio/"), "{refused}");
}

#[test]
fn the_file_may_be_another() {
    let site = site("[serve]\ndir = 'file'\n");
    fs::write(site.path().join("other.toml"), "[serve]\ndir = 'env'\n").unwrap();
    let start = |command: &mut std::process::Command| {
        Server::spawn(command.args(["serve", "--port", "0"])).get("/", "")
    };
    assert!(start(gateway(site.path()).args(["--config", "other.toml"])).ends_with("env"));
    assert!(start(gateway(site.path()).env("GATEWAY_CONFIG", "other.toml")).ends_with("env"));
}

#[test]
fn a_file_that_is_wrong_is_one_line_with_its_place() {
    let check = |config: &str, start: &str| {
        let (line, code) = refusal(site(config).path(), &["serve"]);
        assert!(line.starts_with(&format!("error: gateway.toml:{start}")), "{line}");
        assert_eq!((line.lines().count(), code), (1, Some(2)), "{line}");
    };
    check("[serve]\nprot = 1\n", "2: unknown field `prot`, expected one of `dir`, `port`");
    check("[serve]\nport = 'x'\n", "2: invalid type: string \"x\", expected u16");
    check("[serve]\nupload-limit = 'much'\n", "2: \"much\" is no size; write it like 4GiB");
    check("[serve]\nupload-limit = -1\n", "2: expected a number of bytes, or a size like");
    check("[serve]\n\ncors = 1\n", "3: expected a string or a list of strings");
    check("[serve\n", "1: ");
    let (line, code) = refusal(site("").path(), &["serve", "--config", "none.toml"]);
    let expected =
        "error: cannot read the config file none.toml: No such file or directory (os error 2)\n";
    assert_eq!((line.as_str(), code), (expected, Some(2)));
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    let said = |env: &[(&str, &str)], args: &[&str]| {
        let site = site("");
        let output =
            gateway(site.path()).arg("serve").envs(env.iter().copied()).args(args).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    for (name, value) in [
        ("GATEWAY_PORT", "abc"),
        ("GATEWAY_PORT", ""),
        ("GATEWAY_DIR", ""),
        ("GATEWAY_LOG", "xml"),
        ("GATEWAY_HIDDEN", "maybe"),
        ("GATEWAY_MAX_CONNECTIONS", "-1"),
        ("GATEWAY_TRUSTED_PROXY", "localhost"),
        ("GATEWAY_TRUSTED_PROXY", ""),
        ("GATEWAY_CONFIG", ""),
    ] {
        let said = said(&[(name, value)], &[]);
        let end = format!("\nThe value is that of the environment variable {name}.\n");
        assert!(said.starts_with("error: ") && said.ends_with(&end), "{name}: {said}");
    }
    for args in [["--port", "abc"], ["--nonsense", "1"]] {
        let said = said(&[("GATEWAY_PORT", "1")], &args);
        assert!(said.starts_with("error: ") && !said.contains("variable"), "{said}");
    }
}
