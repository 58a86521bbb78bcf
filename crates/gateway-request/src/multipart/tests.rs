use std::collections::VecDeque;
use std::io::Read as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway_core::exchange::wait;
use gateway_core::http::StatusCode;
use gateway_core::http_body::{Body, Frame};
use gateway_core::{Error, PeerError};

use super::*;

const BODY: &str = "a preamble\r\n--==b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n\
     On \r\n--=trees\r\n--==b \t\r\n\
     content-disposition: form-data; filename=\"a \\\"b\\\".txt\"; name=file\r\n\
     Content-Type: text/x-tree; a=b\r\n\r\n\r\n--==b\r\nContent-Disposition: form-data; name=\"é\"\r\n\
     \r\n\r\n\r\n--==b--\r\nan epilogue";

const PARTS: [(&str, Option<&str>, Option<&str>, &str); 3] = [
    ("title", None, None, "On \r\n--=trees"),
    ("file", Some("a \"b\".txt"), Some("text/x-tree; a=b"), ""),
    ("é", None, None, "\r\n"),
];

type Found = (String, Option<String>, Option<String>, String);

/// A body in pieces, which counts how many were asked for, and may let wait for each.
struct Pieces {
    pieces: VecDeque<Bytes>,
    taken: Arc<AtomicUsize>,
    is_late: bool,
    waited: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.is_late && !std::mem::replace(&mut self.waited, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.waited = false;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

fn multipart<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    is_late: bool,
) -> (Multipart, Arc<AtomicUsize>) {
    let pieces = pieces.into_iter().map(Bytes::copy_from_slice).collect();
    let taken = Arc::new(AtomicUsize::new(0));
    let body = Pieces { pieces, taken: Arc::clone(&taken), is_late, waited: false };
    (Multipart::of(Input::from_body(body), "==b".to_owned()), taken)
}

fn whole(body: &str) -> Multipart {
    multipart([body.as_bytes()], false).0
}

fn describe(part: &Part<'_>, text: String) -> Found {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    (part.name().to_owned(), owned(part.file_name()), owned(part.content_type()), text)
}

fn read(mut multipart: Multipart) -> Result<Vec<Found>, MultipartError> {
    let mut all = Vec::new();
    while let Some(mut part) = multipart.next_part()? {
        let text = part.text(100)?;
        all.push(describe(&part, text));
    }
    Ok(all)
}

async fn read_async(mut multipart: Multipart) -> Result<Vec<Found>, MultipartError> {
    let mut all = Vec::new();
    while let Some(mut part) = multipart.next_part_async().await? {
        let text = part.text_async(100).await?;
        all.push(describe(&part, text));
    }
    Ok(all)
}

fn awaited<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    wait(|cx| future.as_mut().poll(cx))
}

#[track_caller]
fn assert_all(found: Result<Vec<Found>, MultipartError>, how: &str) {
    let found = found.unwrap_or_else(|error| panic!("{how}: {error:?}"));
    let found: Vec<_> = found
        .iter()
        .map(|(name, file, ty, text)| (&**name, file.as_deref(), ty.as_deref(), &**text))
        .collect();
    assert_eq!(found, PARTS, "{how}");
}

#[test]
fn parts_are_the_same_in_whatever_pieces_they_come() {
    let body = BODY.as_bytes();
    for is_late in [false, true] {
        for at in 0..=body.len() {
            let pieces = || [&body[..at], &body[at..]];
            let how = format!("parted at {at}, late: {is_late}");
            assert_all(read(multipart(pieces(), is_late).0), &how);
            assert_all(awaited(read_async(multipart(pieces(), is_late).0)), &how);
        }
        assert_all(read(multipart(body.chunks(1), is_late).0), "byte by byte");
        assert_all(awaited(read_async(multipart(body.chunks(1), is_late).0)), "byte by byte");
    }
}

#[test]
fn what_is_not_read_is_passed_over() {
    for size in [1, 7, 1000] {
        let (mut multipart, _) = multipart(BODY.as_bytes().chunks(size), false);
        let mut names = Vec::new();
        while let Some(mut part) = multipart.next_part().expect("it is sound") {
            let mut some = [0; 2];
            if part.name() == "title" {
                assert!(part.read(&mut some).expect("it has data") > 0);
            }
            names.push(part.name().to_owned());
        }
        assert_eq!(names, PARTS.map(|(name, ..)| name), "in pieces of {size}");
        assert!(multipart.next_part().expect("it has ended").is_none());
    }
}

#[test]
fn a_body_that_ends_early_never_looks_whole() {
    let end = BODY.rfind("--\r\n").expect("it has an end") + 2;
    for length in 0..end {
        let bytes = &BODY.as_bytes()[..length];
        for found in [
            read(multipart([bytes], false).0),
            read(multipart(bytes.chunks(1), false).0),
            awaited(read_async(multipart(bytes.chunks(5), true).0)),
        ] {
            let error = found.expect_err("it has no end");
            assert!(matches!(error, MultipartError::Malformed(_)), "{length}: {error:?}");
            assert_eq!(Error::from(error).status(), StatusCode::BAD_REQUEST);
        }
    }
    assert_all(read(multipart([&BODY.as_bytes()[..end]], false).0), "just whole");
}

#[test]
fn no_more_is_read_than_is_asked_for() {
    let head = b"--==b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
    let piece = [b'x'; 1000];
    let pieces = std::iter::once(&head[..]).chain(std::iter::repeat_n(&piece[..], 100));
    let (mut multipart, taken) = multipart(pieces, false);
    let mut part = multipart.next_part().expect("it is sound").expect("there is a part");
    assert_eq!(taken.load(Ordering::Relaxed), 1);
    for number in 2..50 {
        let data = part.data().expect("it is sound").expect("it goes on");
        assert_eq!((data.len(), taken.load(Ordering::Relaxed)), (1000, number));
    }
}

#[test]
fn a_head_has_bounds() {
    let start = b"--==b\r\nContent-Disposition: form-data; name=\"file\"\r\nX: ";
    let piece = [b'x'; 1000];
    for before in [&b""[..], start] {
        let pieces = std::iter::once(before).chain(std::iter::repeat_n(&piece[..], 1000));
        let (mut multipart, taken) = multipart(pieces, false);
        let error = multipart.next_part().expect_err("it has no end");
        assert!(matches!(error, MultipartError::HeadTooLarge { limit: MAX_PART_HEAD }));
        assert!(taken.load(Ordering::Relaxed) < 20);
        assert_eq!(Error::from(error).status(), StatusCode::PAYLOAD_TOO_LARGE);
        let error = multipart.next_part().expect_err("it has failed");
        assert!(matches!(error, MultipartError::AfterError));
    }
}

#[test]
fn data_that_is_passed_over_is_no_head() {
    let data = "x".repeat(10 * MAX_PART_HEAD);
    let head = "Content-Disposition: form-data; name=";
    let body = format!("--==b\r\n{head}a\r\n\r\n{data}\r\n--==b\r\n{head}b\r\n\r\n\r\n--==b--");
    let (mut multipart, _) = multipart(body.as_bytes().chunks(10), false);
    let names: Vec<String> = std::iter::from_fn(|| {
        multipart.next_part().expect("it is sound").map(|part| part.name().to_owned())
    })
    .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_part_that_is_too_large_leaves_the_next() {
    let mut multipart = whole(BODY);
    let mut part = multipart.next_part().expect("it is sound").expect("there is a part");
    let error = part.collect(12).expect_err("it has 13 bytes");
    assert!(matches!(error, MultipartError::PartTooLarge { limit: 12 }));
    assert_eq!(Error::from(error).status(), StatusCode::PAYLOAD_TOO_LARGE);
    let part = multipart.next_part().expect("it is sound").expect("there is one more");
    assert_eq!(part.name(), "file");
    let mut multipart = whole(BODY);
    let mut part = multipart.next_part().expect("it is sound").expect("there is a part");
    assert_eq!(part.collect(13).expect("it fits").len(), 13);
}

#[test]
fn a_part_without_data_has_none() {
    let mut multipart = whole(BODY);
    multipart.next_part().expect("it is sound");
    let mut part = multipart.next_part().expect("it is sound").expect("there is one more");
    assert_eq!(part.name(), "file");
    assert_eq!(part.data().expect("it is sound"), None);
}

#[test]
fn small_reads_leave_the_rest() {
    let mut multipart = whole(BODY);
    let mut part = multipart.next_part().expect("it is sound").expect("there is a part");
    let mut start = [0; 4];
    part.read_exact(&mut start).expect("it is there");
    assert_eq!(&start, b"On \r");
    assert_eq!(part.data().expect("it is sound").as_deref(), Some(&b"\n--=trees"[..]));
    assert_eq!(part.read(&mut start).expect("it has ended"), 0);
}

#[test]
fn what_is_malformed_is_the_peers_fault_and_stays_so() {
    for (body, is_expected) in [
        ("--==b\r\nContent-Disposition: form-data\r\n\r\n\r\n--==b--", "Unnamed"),
        ("--==b\r\nNo field\r\n\r\n\r\n--==b--", "Malformed"),
        ("--==bx\r\n\r\n\r\n\r\n--==b--", "Malformed"),
        ("nothing of it", "Malformed"),
        ("", "Malformed"),
    ] {
        let mut multipart = whole(body);
        let error = multipart.next_part().expect_err(body);
        assert!(format!("{error:?}").starts_with(is_expected), "{body}: {error:?}");
        assert_eq!(Error::from(error).status(), StatusCode::BAD_REQUEST);
        let again = multipart.next_part().expect_err(body);
        assert!(matches!(again, MultipartError::AfterError), "{body}: {again:?}");
    }
}

#[test]
fn the_bodys_own_errors_stay_what_they_are() {
    let mut input = Input::from_bytes(BODY);
    input.limit(20).expect("nothing was read");
    let mut multipart = Multipart::of(input, "==b".to_owned());
    let error = Error::from(multipart.next_part().expect_err("it is over the limit"));
    assert!(matches!(error, Error::Peer(PeerError::BodyTooLarge { limit: 20 })));
}

#[test]
fn a_text_is_utf_8() {
    let mut body = b"--==b\r\nContent-Disposition: form-data; name=a\r\n\r\n".to_vec();
    body.extend(b"\xE9\r\n--==b--");
    let (mut multipart, _) = multipart([&body[..]], false);
    let mut part = multipart.next_part().expect("it is sound").expect("there is a part");
    let error = part.text(10).expect_err("it is Latin-1");
    assert!(matches!(error, MultipartError::NotText(_)));
    assert_eq!(Error::from(error).status(), StatusCode::BAD_REQUEST);
}
