//! What proxies say of a request, and who is believed.

use gateway_conformance::TestClient;
use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Address, Environ, Response, Result, StartResponse, inline};
use gateway_middleware::{Forwarded, ForwardedFields};

use crate::around::{Boxed, around_each};

/// Says who the request is from, by which scheme and for whom.
fn facts(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let (remote, scheme) = (environ.remote_addr(), environ.url_scheme());
    let text = format!("{remote} {scheme} {}", environ.authority().unwrap_or("-"));
    Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(text))
}

fn trusting(app: Boxed, fields: ForwardedFields) -> Forwarded<Boxed> {
    let networks = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"];
    networks.iter().fold(Forwarded::new(app, fields), |forwarded, network| {
        forwarded.trust(network).expect("it is a network")
    })
}

/// What the application sees of a request with these fields from `remote`.
fn seen(fields: ForwardedFields, remote: &str, request: &[(&'static str, &str)]) -> String {
    let remote: std::net::SocketAddr = remote.parse().expect("an address");
    let client = TestClient::new(trusting(Box::new(inline(facts)), fields));
    let request = request.iter().fold(client.get("/"), |r, (name, value)| r.header(*name, *value));
    request.remote_addr(remote).send().text()
}

#[test]
fn every_kind_of_application_sees_the_client() {
    around_each(
        facts,
        |app| trusting(app, ForwardedFields::Standard),
        |client, _| {
            let field =
                r#"for=203.0.113.9, for="[2001:db8::9]:4711";proto=https;host="www.example:8443""#;
            let response = client.get("/").header("forwarded", field).send();
            assert_eq!(response.text(), "[2001:db8::9]:4711 https www.example:8443");
            assert_eq!(client.get("/").send().text(), "127.0.0.1:49152 http localhost");
        },
    );
}

#[test]
fn the_standard_field_is_believed_as_far_as_peers_are_trusted() {
    let near = "127.0.0.1:5000";
    for (remote, value, expected) in [
        // Nobody believes a stranger.
        ("192.0.2.1:5000", "for=10.0.0.1;proto=https;host=evil", "192.0.2.1:5000 http localhost"),
        (near, "for=192.0.2.1", "192.0.2.1:0 http localhost"),
        // The last proxy that is believed has seen the client, and its scheme and host.
        (
            near,
            "for=6.6.6.6;proto=http;host=evil, for=192.0.2.1;proto=https;host=a.example, \
             for=10.1.2.3;proto=http;host=inner",
            "192.0.2.1:0 https a.example",
        ),
        // What it does not say, the one behind it did.
        (near, "for=192.0.2.1, for=10.1.2.3;proto=https;host=b", "192.0.2.1:0 https b"),
        // All are trusted: the first of them is as far as one can see.
        (near, "for=10.0.0.1, for=\"[fd00::1]:80\"", "10.0.0.1:0 http localhost"),
        (near, "for=192.0.2.1, for=unknown;proto=https", "unnamed https localhost"),
        (near, "for=192.0.2.1, for=_gate", "unnamed http localhost"),
        // An element that says nothing of the address.
        (near, "for=192.0.2.1, proto=https", "127.0.0.1:5000 https localhost"),
        // What cannot be read ends the list, and does not reach what stands right of it.
        (near, "for=\"open, for=192.0.2.7", "192.0.2.7:0 http localhost"),
        (near, "for=192.0.2.1, for=junk here", "127.0.0.1:5000 http localhost"),
        (near, "junk, for=10.0.0.2", "10.0.0.2:0 http localhost"),
        // A scheme and an authority that are none.
        (near, "for=192.0.2.1;proto=gopher;host=\"a@b\"", "192.0.2.1:0 http localhost"),
    ] {
        assert_eq!(seen(ForwardedFields::Standard, remote, &[("forwarded", value)]), expected);
    }
}

#[test]
fn several_fields_are_one_list() {
    let fields = [("forwarded", "for=192.0.2.1"), ("forwarded", "for=192.0.2.2, for=10.0.0.9")];
    let text = seen(ForwardedFields::Standard, "127.0.0.1:5000", &fields);
    assert_eq!(text, "192.0.2.2:0 http localhost");
}

#[test]
fn the_x_fields_are_paired_from_the_right() {
    let near = "127.0.0.1:5000";
    for (request, expected) in [
        (&[("x-forwarded-for", "6.6.6.6, 192.0.2.1")][..], "192.0.2.1:0 http localhost"),
        (&[("x-forwarded-for", "192.0.2.1:77")], "192.0.2.1:77 http localhost"),
        (&[("x-forwarded-for", "2001:db8::1")], "[2001:db8::1]:0 http localhost"),
        (&[("x-forwarded-for", "192.0.2.1, unknown")], "unnamed http localhost"),
        (&[("x-forwarded-for", "192.0.2.1, junk")], "127.0.0.1:5000 http localhost"),
        (&[("x-forwarded-proto", "https")], "127.0.0.1:5000 https localhost"),
        (
            &[
                ("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.1"),
                ("x-forwarded-proto", "gopher, https, http"),
                ("x-forwarded-host", "evil, a.example, inner"),
            ],
            "192.0.2.1:0 https a.example",
        ),
        (
            &[
                ("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.1"),
                ("x-forwarded-proto", "http, https"),
            ],
            "192.0.2.1:0 http localhost",
        ),
        (
            &[("x-forwarded-for", "192.0.2.1, 10.0.0.1"), ("x-forwarded-proto", "HTTPS")],
            "192.0.2.1:0 https localhost",
        ),
        (
            &[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.0.0.1,")],
            "192.0.2.1:0 http localhost",
        ),
        // The other kind of field says nothing here.
        (&[("forwarded", "for=192.0.2.1;proto=https")], "127.0.0.1:5000 http localhost"),
    ] {
        assert_eq!(seen(ForwardedFields::X, near, request), expected, "{request:?}");
    }
    let mapped =
        seen(ForwardedFields::X, "[::ffff:127.0.0.1]:5", &[("x-forwarded-for", "1.2.3.4")]);
    assert_eq!(mapped, "1.2.3.4:0 http localhost", "an IPv4 address by way of IPv6 is the same");
}

#[test]
fn a_unix_socket_is_trusted_where_it_is_said() {
    let app = || Forwarded::new(inline(facts), ForwardedFields::X);
    let text = |app| {
        let request = TestClient::new(app);
        let request = request.get("/").remote_addr(Address::Unnamed);
        request.header("x-forwarded-for", "192.0.2.1").send().text()
    };
    assert_eq!(text(app()), "unnamed http localhost");
    assert_eq!(text(app().trust("0.0.0.0/0").expect("a network")), "unnamed http localhost");
    assert_eq!(text(app().trust_unix()), "192.0.2.1:0 http localhost");
    assert_eq!(text(app().trust("unix").expect("a proxy")), "192.0.2.1:0 http localhost");
}

#[test]
fn a_network_has_to_be_one() {
    for wrong in ["", "localhost", "10.0.0.0/33", "10.0.0", "*"] {
        let app = Forwarded::new(inline(facts), ForwardedFields::X);
        let error = app.trust(wrong).expect_err("it is none");
        assert!(error.to_string().contains(&format!("`{wrong}`")), "{error}");
    }
}
