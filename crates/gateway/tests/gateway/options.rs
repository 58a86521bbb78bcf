//! What each option does.

use std::fs;

use crate::process::{Server, gateway, refusal, run};
use crate::serve::site;

pub(crate) fn basic(credentials: &str) -> String {
    use base64::Engine as _;
    let token = base64::prelude::BASE64_STANDARD.encode(credentials);
    format!("Authorization: Basic {token}\r\n")
}

#[test]
fn who_knows_the_password_comes_in() {
    let site = site();
    fs::write(site.path().join(".password"), "from:file\n").unwrap();
    let cases = [("ada:plain", "plain"), ("ada:@.password", "from:file"), ("ada:$SECRET", "väl")];
    for (auth, password) in cases {
        let mut command = gateway(site.path());
        command.env("SECRET", "väl").args(["serve", "--port", "0", "--auth", auth]);
        let mut server = Server::spawn(&mut command);
        let refused = server.get("/a.txt", "");
        assert!(refused.starts_with("HTTP/1.1 401 "), "{auth}: {refused}");
        let challenge = "www-authenticate: Basic realm=\"gateway\", charset=\"UTF-8\"\r\n";
        assert!(refused.contains(challenge), "{refused}");
        for wrong in ["ada:", "ada:wrong", &format!("eve:{password}"), &format!("ada:{password}x")]
        {
            assert!(server.get("/a.txt", &basic(wrong)).starts_with("HTTP/1.1 401 "), "{wrong}");
        }
        let right = basic(&format!("ada:{password}"));
        assert!(server.get("/a.txt", &right).ends_with("text\n"), "{auth}");
        assert!(server.get("/a.txt", &right.replace("Basic", "bASIC")).ends_with("text\n"));
        let logged: Vec<_> = (0..7).map(|_| server.line()).collect();
        assert!(logged[0].starts_with("127.0.0.1 - - ["), "{logged:?}");
        assert!(logged[6].starts_with("127.0.0.1 - ada ["), "{logged:?}");
    }
}

#[test]
fn a_password_that_cannot_be_meant_is_refused() {
    let site = site();
    fs::write(site.path().join("empty"), "\n").unwrap();
    let check = |auth: &str, line: &str| {
        let refused = refusal(site.path(), &["serve", "--auth", auth]);
        assert_eq!(refused, (format!("error: {line}\n"), Some(2)));
    };
    check("ada", "--auth: write user:PASSWORD, user:@FILE or user:$VARIABLE");
    check("ada:@empty", "--auth: the password of `ada` is empty; it would keep nobody out");
    check(
        "ada:$NO_SUCH_VARIABLE",
        "--auth: the variable `NO_SUCH_VARIABLE` cannot be used: environment variable not found",
    );
    let missing = "No such file or directory (os error 2)";
    check("ada:@none", &format!("cannot read the password file none: {missing}"));
}

#[test]
fn what_is_reserved_says_so() {
    let site = site();
    for flag in ["--tls-cert", "--tls-key"] {
        let (tls, code) = refusal(site.path(), &["serve", flag, "some.pem"]);
        assert!(tls.contains("not built yet") && tls.lines().count() == 1, "{tls}");
        assert_eq!(code, Some(2));
    }
}

#[test]
fn files_are_served_as_they_were_chosen_to_be() {
    let site = site();
    let write = |name: &str, text: &str| fs::write(site.path().join(name), text).unwrap();
    write("app.html", "<p>app\n");
    write("gone.html", "<p>gone\n");
    write(".secret", "secret\n");
    write("big.css", &"a { color: red }\n".repeat(1000));
    write("a.txt.gz", "not really gzip");
    std::os::unix::fs::symlink("/etc/hostname", site.path().join("link")).unwrap();
    let with = |args: &[&str]| Server::start(site.path(), args);

    let plain = with(&[]);
    assert!(plain.get("/.secret", "").starts_with("HTTP/1.1 404 "));
    assert!(plain.get("/link", "").starts_with("HTTP/1.1 404 "));
    let gzip = "Accept-Encoding: gzip\r\n";
    assert!(plain.get("/a.txt", gzip).ends_with("\r\n\r\ntext\n"));
    assert!(plain.get("/a.txt", "").contains("text/plain; charset=utf-8"));

    assert!(with(&["--hidden"]).get("/.secret", "").ends_with("secret\n"));
    assert!(with(&["--no-listing"]).get("/", "").starts_with("HTTP/1.1 404 "));
    assert!(with(&["--follow-symlinks"]).get("/link", "").starts_with("HTTP/1.1 200 "));
    assert!(with(&["--precompressed"]).get("/a.txt", gzip).ends_with("not really gzip"));
    let compressed = with(&["--compress"]).get("/big.css", gzip);
    assert!(compressed.contains("content-encoding: gzip"), "{compressed}");
    assert!(!with(&["--charset", "none"]).get("/a.txt", "").contains("charset"));

    let spa = with(&["--spa=app.html"]);
    assert!(spa.get("/any/where", "Accept: text/html\r\n").ends_with("<p>app\n"));
    let gone = with(&["--404", "gone.html"]).get("/any", "");
    assert!(gone.starts_with("HTTP/1.1 404 ") && gone.ends_with("<p>gone\n"), "{gone}");
    assert!(with(&["--index", "x,app.html"]).get("/", "").ends_with("<p>app\n"));

    let cached = with(&["--cache", "no-cache", "--cache", "/sub: max-age=60, immutable"]);
    assert!(cached.get("/a.txt", "").contains("cache-control: no-cache\r\n"));
    let below = cached.get("/sub/index.html", "");
    assert!(below.contains("cache-control: max-age=60, immutable\r\n"), "{below}");

    let origin = "Origin: https://app.example\r\n";
    let allow = "access-control-allow-origin: ";
    assert!(!plain.get("/a.txt", origin).contains(allow));
    assert!(with(&["--cors", "*"]).get("/a.txt", origin).contains(allow));
    let listed = with(&["--cors", "https://app.example,https://b.example"]);
    assert!(listed.get("/a.txt", origin).contains(&format!("{allow}https://app.example\r\n")));
    assert!(!listed.get("/a.txt", "Origin: https://evil.example\r\n").contains("https://evil"));
}

#[test]
fn the_access_log_has_four_forms() {
    let site = site();
    let fields = "Referer: http://r/\"\r\nUser-Agent: \x1b[2Jagent\r\n";
    let mut common = Server::start(site.path(), &[]);
    common.get("/a.txt?q", "");
    let line = common.line();
    assert!(line.starts_with("127.0.0.1 - - [") && line.contains(" +0000] \""), "{line}");
    assert!(line.ends_with("] \"GET /a.txt?q HTTP/1.1\" 200 5"), "{line}");

    let mut combined = Server::start(site.path(), &["--log", "combined"]);
    combined.get("/none", &fields.replace('\x1b', "x"));
    let line = combined.line();
    let end = "\"GET /none HTTP/1.1\" 404 14 \"http://r/\\\"\" \"x[2Jagent\"";
    assert!(line.ends_with(end), "{line}");

    let mut json = Server::start(site.path(), &["--log", "json", "--server", "tokio"]);
    json.get("/a.txt", "");
    let line: serde_json::Value = serde_json::from_str(&json.line()).unwrap();
    assert_eq!((&line["method"], &line["target"]), (&"GET".into(), &"/a.txt".into()));
    assert_eq!((&line["status"], &line["bytes"]), (&200.into(), &5.into()));

    let off = Server::start(site.path(), &["--log", "off"]);
    off.get("/a.txt", "");
    off.signal(rustix::process::Signal::TERM);
    assert_eq!(off.end().1, "");
}

#[test]
fn a_trace_shows_requests_and_responses_without_their_secrets() {
    let site = site();
    let mut server = Server::start(site.path(), &["--trace", "--auth", "ada:pw"]);
    let fields = format!("{}cookie: id=SECRET\r\nX-Other: 1\r\n", basic("ada:pw"));
    server.get("/a.txt", &fields);
    server.said.clear();
    server.wait_for("sent 5 bytes");
    let trace = &server.said;
    for line in [
        "* #1 127.0.0.1:",
        "< GET /a.txt HTTP/1.1\n",
        "< Host: test\n",
        "< Authorization: [masked, 14 bytes]\n",
        "< cookie: [masked, 9 bytes]\n",
        "< X-Other: 1\n",
        "> HTTP/1.1 200 OK\n",
        "> content-type: text/plain; charset=utf-8\n",
        "* #1 received 0 bytes, sent 5 bytes in ",
    ] {
        assert!(trace.contains(line), "{line} is missing in {trace}");
    }
    assert!(!trace.contains("SECRET") && !trace.contains("YWRh"), "{trace}");
    assert!(!trace.contains('\x1b'), "colours are for terminals: {trace}");
}

#[test]
fn it_explains_itself() {
    let site = site();
    let text = |args: &[&str]| {
        let output = run(site.path(), args);
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(text(&["--version"]), format!("gateway {}\n", env!("CARGO_PKG_VERSION")));
    let help = text(&["serve", "--help"]);
    for part in [
        "Examples:",
        "Where a value comes from:",
        "Behind a proxy:",
        "Exit codes:",
        "GATEWAY_PORT",
        "--404",
    ] {
        assert!(help.contains(part), "{part} is missing in {help}");
    }
    for (shell, part) in
        [("bash", "complete -F"), ("zsh", "#compdef gateway"), ("fish", "complete -c gateway")]
    {
        assert!(text(&["completions", shell]).contains(part), "{shell}");
    }
    assert!(text(&["man"]).contains(".TH gateway 1"));
    let page = text(&["man", "serve"]);
    for part in [
        "\\-\\-follow\\-symlinks",
        ".SH BEHIND A PROXY\n",
        ".SH EXAMPLES\n.nf\n",
        ".SH EXIT CODES\n.nf\n0        done",
    ] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    let (line, code) = refusal(site.path(), &["man", "nothing"]);
    assert_eq!(
        (line.as_str(), code),
        ("error: there is no subcommand `nothing`; see `gateway --help`\n", Some(2))
    );
}

#[test]
fn a_password_in_the_environment_is_not_in_the_help() {
    let site = site();
    let output = gateway(site.path())
        .env("GATEWAY_AUTH", "ada:SECRET")
        .args(["serve", "--help"])
        .output()
        .unwrap();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("SECRET"));
}
