use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gateway_static::StaticFiles;

use crate::exchange::get;
use crate::tree::Tree;

const SECRET: &[u8] = b"secret beyond the root";

/// A root with secrets beside it.
fn tree() -> Tree {
    let tree = Tree::new(&[("sub/a.txt", b"inside"), ("a.txt", b"inside"), (".hidden", b"hidden")]);
    tree.write("../secret.txt", SECRET);
    tree.write("../outside/secret.txt", SECRET);
    tree.write("../root-too/secret.txt", SECRET);
    tree
}

fn listing(tree: &Tree) -> StaticFiles {
    tree.builder().listing(true).hidden_files(true).build().expect("it can be served")
}

fn is_secret(body: &[u8]) -> bool {
    body.windows(SECRET.len()).any(|window| window == SECRET)
}

#[test]
fn no_spelling_leads_out_of_the_root() {
    let tree = tree();
    let app = listing(&tree);
    let absolute = tree.at("../secret.txt").to_str().expect("it is text").to_owned();
    let ups = ["..", "%2e%2e", ".%2e", "%2E.", "%252e%252e", "..%00", "..;", "...", "%c0%ae%c0%ae"];
    let separators = ["/", "%2f", "%2F", "\\", "%5c", "//", "/./", "%252f"];
    for up in ups {
        for separator in separators {
            for start in ["/", "/sub/", "/sub/../", "/a.txt/"] {
                for name in ["secret.txt", "outside/secret.txt", "root-too/secret.txt"] {
                    for n in 1..4 {
                        let climb = format!("{up}{separator}").repeat(n);
                        let answer = get(format!("{start}{climb}{name}")).on(&app);
                        let status = answer.status.as_u16();
                        assert!(matches!(status, 404 | 400), "{start}{climb}{name}: {status}");
                        assert!(!is_secret(&answer.body));
                    }
                }
            }
        }
    }
    for target in [
        absolute.clone(),
        format!("/{absolute}"),
        format!("/%2f{absolute}"),
        "/../secret.txt%00.html".to_owned(),
        "/a.txt%00.html".to_owned(),
        "/a.txt::$DATA".to_owned(),
        "/a.txt.".to_owned(),
        "/C:/Windows/win.ini".to_owned(),
        "/%ef%bc%8e%ef%bc%8e/secret.txt".to_owned(),
        "/-too/secret.txt".to_owned(),
        "/..".to_owned(),
        "/../".to_owned(),
        "/.".to_owned(),
    ] {
        let answer = get(target.clone()).on(&app);
        assert_eq!(answer.status, 404, "{target}");
        assert!(!is_secret(&answer.body), "{target}");
    }
}

#[test]
fn links_that_leave_the_root_are_not_found() {
    let tree = tree();
    tree.link("up-file", "../secret.txt");
    tree.link("up-dir", "../outside");
    tree.link("absolute", tree.at("../secret.txt"));
    tree.link("absolute-inside", tree.at("a.txt"));
    tree.link("sub/far", "../../outside/secret.txt");
    tree.link("chain", "up-file");
    tree.link("self", "self");
    tree.link("proc", "/proc/self/root");
    tree.link("inside", "sub/../a.txt");
    tree.link("inside-dir", "sub");
    let app = listing(&tree);
    for target in [
        "/up-file",
        "/up-dir",
        "/up-dir/",
        "/up-dir/secret.txt",
        "/absolute",
        "/absolute-inside",
        "/sub/far",
        "/chain",
        "/self",
        "/proc",
        "/proc/etc/passwd",
    ] {
        let answer = get(target).on(&app);
        assert_eq!(answer.status, 404, "{target}");
        assert!(!is_secret(&answer.body), "{target}");
    }
    assert_eq!(get("/inside").on(&app).text(), "inside");
    assert_eq!(get("/inside-dir/a.txt").on(&app).text(), "inside");
    let page = get("/").on(&app);
    assert!(page.text().contains("\"/inside\"") && !page.text().contains("up-file"));
}

#[test]
fn siblings_and_index_files_do_not_lead_out_either() {
    let tree = tree();
    tree.link("a.txt.gz", "../secret.txt");
    tree.link("sub/index.html", "../../secret.txt");
    let app = tree.builder().precompressed(true).build().expect("it can be served");
    let answer = get("/a.txt").with("accept-encoding", "gzip").on(&app);
    assert_eq!(answer.text(), "inside");
    assert_eq!(get("/sub/").on(&app).status, 404);
}

#[test]
fn only_files_and_directories_are_served() {
    use std::os::unix::net::UnixListener;
    let tree = tree();
    let _socket = UnixListener::bind(tree.at("socket")).expect("a socket can be made");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, tree.at("fifo"), fifo, mode, 0).expect("a FIFO");
    let app = listing(&tree);
    for target in ["/fifo", "/socket", "/fifo/", "/socket/x"] {
        assert_eq!(get(target).on(&app).status, 404, "{target}");
    }
    let page = get("/").on(&app);
    assert!(!page.text().contains("fifo") && !page.text().contains("socket"));
    let follow = StaticFiles::new("/dev").follow_symlinks(true).build().expect("it can be served");
    for target in ["/null", "/zero", "/tty"] {
        assert_eq!(get(target).on(&follow).status, 404, "{target}");
    }
}

#[test]
fn hidden_files_stay_hidden() {
    let tree = tree();
    tree.write(".git/config", b"hidden");
    tree.write("sub/.env", b"hidden");
    tree.write(".well-known/security.txt", b"public");
    let app = tree.app();
    for target in ["/.hidden", "/%2ehidden", "/.git/config", "/.git/", "/.git", "/sub/.env"] {
        assert_eq!(get(target).on(&app).status, 404, "{target}");
    }
    assert_eq!(get("/.well-known/security.txt").on(&app).text(), "public");
}

#[test]
fn a_directory_that_becomes_a_link_during_requests_gives_nothing_away() {
    let tree = tree();
    tree.write("swapped/secret.txt", b"inside");
    let app = listing(&tree);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::rename(tree.at("swapped"), tree.at("away")).expect("it can be renamed");
                tree.link("swapped", "../outside");
                fs::remove_file(tree.at("swapped")).expect("it can be removed");
                fs::rename(tree.at("away"), tree.at("swapped")).expect("it can be renamed");
            }
        });
        let mut served = 0;
        // On a busy machine the other thread may be kept waiting with the directory away.
        let deadline = Instant::now() + Duration::from_secs(60);
        for n in 0.. {
            if n >= 6_000 && (served > 0 || Instant::now() > deadline) {
                break;
            }
            let target = if n % 3 == 0 { "/swapped/" } else { "/swapped/secret.txt" };
            let answer = get(target).on(&app);
            assert!(!is_secret(&answer.body));
            assert!(matches!(answer.status.as_u16(), 200 | 404), "{}", answer.status);
            served += u32::from(answer.status == 200);
        }
        done.store(true, Ordering::Relaxed);
        assert!(served > 0, "the directory was there at times");
    });
}
