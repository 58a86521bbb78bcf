use gateway_http1::{Connection, Event, Output};

#[test]
fn a_connection_is_small() {
    assert!(size_of::<Connection>() <= 320, "{} bytes", size_of::<Connection>());
    assert!(size_of::<Output>() <= 80, "{} bytes", size_of::<Output>());
    assert!(size_of::<Event>() <= 112, "{} bytes", size_of::<Event>());
}
