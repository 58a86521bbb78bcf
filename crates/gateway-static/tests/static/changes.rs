use std::fs::File;
use std::io::Write;

use crate::exchange::get;
use crate::tree::Tree;

/// Changes a file after it was opened and before it is sent.
#[test]
fn a_file_that_shrinks_before_it_is_sent_is_cut() {
    for range in ["", "bytes=0-", "bytes=0-9,500-999"] {
        let tree = Tree::new(&[("a.txt", &[b'x'; 1000])]);
        let app = tree.app();
        let path = tree.at("a.txt");
        let answer = get("/a.txt").with("range", range).on_then(&app, move || {
            let file = File::options().write(true).open(&path).expect("it opens");
            file.set_len(600).expect("it can be cut");
        });
        assert!(answer.cut, "{range}");
        assert!(answer.length > Some(answer.body.len() as u64), "{range}");
    }
}

#[test]
fn several_ranges_of_a_file_that_is_written_to_are_cut() {
    let tree = Tree::new(&[("a.txt", &[b'x'; 1000])]);
    let path = tree.at("a.txt");
    let answer = get("/a.txt").with("range", "bytes=0-9,500-999").on_then(&tree.app(), move || {
        let mut file = File::options().append(true).open(&path).expect("it opens");
        file.write_all(b"more").expect("it can be written");
    });
    assert!(answer.cut);
}

#[test]
fn a_file_that_is_rewritten_at_the_same_length_is_cut() {
    for (range, path) in [("", "/a.txt"), ("bytes=0-9", "/a.txt"), ("", "/none")] {
        let tree = Tree::new(&[("a.txt", &[b'x'; 1000])]);
        let app = tree.builder().not_found_page("a.txt").build().expect("it can be served");
        let file = tree.at("a.txt");
        let answer = get(path).with("range", range).on_then(&app, move || {
            std::fs::write(&file, [b'y'; 1000]).expect("it can be written");
            let file = File::options().write(true).open(&file).expect("it opens");
            // The clock behind the stamps may not have ticked since the file was made.
            file.set_modified(std::time::UNIX_EPOCH).expect("its time can be set");
        });
        // Nothing has been sent, so it can still be said.
        assert_eq!(answer.status, 500, "{range} {path}");
        assert!(!answer.body.contains(&b'x') && !answer.body.contains(&b'y'), "{range} {path}");
    }
}

#[test]
fn a_file_from_before_1970_is_sent() {
    let tree = Tree::new(&[("a.txt", b"old")]);
    let file = File::options().write(true).open(tree.at("a.txt")).expect("it opens");
    let past = std::time::UNIX_EPOCH - std::time::Duration::from_millis(1500);
    file.set_modified(past).expect("its time can be set");
    let answer = get("/a.txt").on(&tree.app());
    assert_eq!((answer.cut, answer.text()), (false, "old"));
}

#[test]
fn a_file_that_is_replaced_is_sent_as_it_was() {
    for range in ["", "bytes=0-1,5-6"] {
        let tree = Tree::new(&[("a.txt", b"former"), ("b.txt", b"later!")]);
        let (from, to) = (tree.at("b.txt"), tree.at("a.txt"));
        let answer = get("/a.txt").with("range", range).on_then(&tree.app(), move || {
            std::fs::rename(&from, &to).expect("it can be renamed");
        });
        assert!(!answer.cut, "{range}");
        assert!(answer.text().contains("fo"), "{range}");
    }
}

#[cfg(any(feature = "gzip", feature = "brotli"))]
#[test]
fn a_file_that_changes_while_it_is_compressed_is_cut() {
    let tree = Tree::new(&[("a.txt", &[b'x'; 5000])]);
    let app = tree.builder().compression(true).build().expect("it can be served");
    let path = tree.at("a.txt");
    let answer = get("/a.txt").with("accept-encoding", "br, gzip").on_then(&app, move || {
        let mut file = File::options().append(true).open(&path).expect("it opens");
        file.write_all(b"more").expect("it can be written");
    });
    assert!(answer.cut || answer.status == 500);
}
