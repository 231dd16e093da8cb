//! What goes into the bus comes out of it unchanged, typed and untyped.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zato_core::{Context, Kind, Payload, Result, Service, service};
use zato_runtime::Error;

use crate::builder::{builder, finish};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct CustomerId(String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Marker;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Rectangle { width: f64, height: f64 },
    Named(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Nested {
    id: CustomerId,
    shape: Shape,
    either: Either,
    tags: BTreeMap<String, Vec<Option<i32>>>,
    note: Option<String>,
}

/// Written and read back: directly, and through the echo of a bus.
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + 'static>(value: &T) {
    let payload = Payload::write(value).expect("it can be written");
    assert_eq!(&payload.decode::<T>().expect("it can be read"), value, "from {payload:?} `{payload}`");
    let sent_on = Payload::write(&payload).expect("a payload can be sent on");
    assert_eq!(sent_on, payload);
    assert_eq!(payload.decode::<Payload>().expect("a payload is read untouched"), payload);
    let text: String = payload.decode().expect("every payload is text");
    assert_eq!(text, payload.to_string());
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_filter("JSON has no such number", |float| float.is_finite()).prop_map(Into::into),
        ".*".prop_map(Into::into),
        looks_like_json().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map(".*", inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn looks_like_json() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null"),
        Just("true"),
        Just("123"),
        Just("-1.5e3"),
        Just("{}"),
        Just("[1,2]"),
        Just("\"quoted\""),
        Just(""),
        Just(" "),
        Just("{\"a\":"),
    ]
    .prop_map(str::to_owned)
}

/// Strings of all kinds, those that look like JSON more often than chance would have them.
fn strings() -> impl Strategy<Value = String> {
    prop_oneof![".*", looks_like_json()]
}

proptest! {
    #[test]
    fn every_json_value_comes_back(value in json()) {
        // What `serde_json` itself does not bring back is not asked for.
        let text = serde_json::to_string(&value).expect("a value is JSON");
        prop_assume!(serde_json::from_str::<serde_json::Value>(&text).ok().as_ref() == Some(&value));
        comes_back(&value);
    }

    #[test]
    fn every_string_comes_back_in_every_wrapping(text in strings()) {
        comes_back(&text);
        comes_back(&CustomerId(text.clone()));
        comes_back(&Some(text.clone()));
        comes_back(&Some(CustomerId(text.clone())));
        comes_back(&Either::Text(text.clone()));
        comes_back(&Shape::Named(text.clone()));
        comes_back(&vec![text.clone()]);
        comes_back(&(text.clone(), Some(text)));
    }

    #[test]
    fn every_number_comes_back(signed in any::<i64>(), wide in any::<u128>(), float in any::<f64>()) {
        comes_back(&signed);
        comes_back(&wide);
        comes_back(&Some(signed));
        comes_back(&Either::Number(signed));
        if float.is_finite() {
            comes_back(&float);
            comes_back(&Shape::Circle(float));
        }
    }

    #[test]
    fn raw_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let payload = Payload::bytes(bytes.clone());
        assert_eq!(Payload::write(&payload).expect("a payload can be sent on"), payload);
        prop_assert_eq!(payload.as_bytes(), &bytes[..]);
        prop_assert_eq!(payload.decode::<String>().ok(), String::from_utf8(bytes).ok());
    }

    #[test]
    fn every_char_comes_back(char in any::<char>()) {
        comes_back(&char);
    }
}

#[test]
fn what_is_nothing_is_empty() {
    comes_back(&());
    comes_back(&Marker);
    comes_back(&None::<String>);
    comes_back(&serde_json::Value::Null);
    for (payload, kind) in [
        (Payload::write(&()), Kind::Empty),
        (Payload::write(&Marker), Kind::Empty),
        (Payload::write(&serde_json::Value::Null), Kind::Empty),
        (Payload::write(&None::<()>), Kind::Json),
        (Payload::write("null"), Kind::Text),
        (Payload::write(&Some("null")), Kind::Text),
        (Payload::write(&7), Kind::Json),
    ] {
        assert_eq!(payload.expect("it can be written").kind(), kind);
    }
    let empty = Payload::empty();
    assert_eq!(empty.decode::<String>().expect("text"), "");
    assert_eq!(empty.decode::<Option<u8>>().expect("nothing"), None);
    assert_eq!(Payload::text("null").decode::<Option<u8>>().expect("JSON in text"), None);
    assert!(empty.decode::<u8>().is_err());
}

#[test]
fn structures_come_back() {
    let shapes = [Shape::Point, Shape::Circle(1.5), Shape::Rectangle { width: 1.0, height: 2.0 }];
    shapes.iter().for_each(comes_back);
    comes_back(&Nested {
        id: CustomerId("123".into()),
        shape: Shape::Named("null".into()),
        either: Either::Text("7".into()),
        tags: BTreeMap::from([("ä\u{1F600}".into(), vec![Some(1), None])]),
        note: None,
    });
}

#[test]
fn text_from_outside_is_json_only_where_it_is_an_object_or_an_array() {
    for (text, kind) in [
        ("{\"id\": 7}", Kind::Json),
        (" [1]", Kind::Json),
        ("7", Kind::Text),
        ("null", Kind::Text),
        ("{broken", Kind::Text),
        ("", Kind::Empty),
    ] {
        assert_eq!(Payload::from_outside(text).kind(), kind, "{text}");
    }
    assert_eq!(Payload::from_outside(vec![0xff]).kind(), Kind::Bytes);
    assert_eq!(Payload::from_outside("7").decode::<u8>().expect("a number"), 7);
    assert_eq!(Payload::from_outside("Point").decode::<Shape>().expect("a variant"), Shape::Point);
}

#[test]
fn a_fault_is_named_with_its_path() {
    let error = Payload::from_outside(r#"{"tags": {"a": [1, "x"]}}"#)
        .decode::<BTreeMap<String, BTreeMap<String, Vec<u8>>>>()
        .unwrap_err();
    assert_eq!(error.path, "tags.a[1]");
    assert_eq!(error.expected, "BTreeMap<String, BTreeMap<String, Vec<u8>>>");
    assert!(error.to_string().contains("at `tags.a[1]`: invalid type: string, expected u8"), "{error}");
}

#[service(name = "payloads.twice")]
struct Twice;

impl Service for Twice {
    type Request = Payload;
    type Response = Payload;

    async fn handle(&self, ctx: &Context, payload: Payload) -> Result<Payload> {
        assert_eq!(&payload, ctx.payload());
        Ok(ctx.invoke("zato.helpers.echo", payload).await?)
    }
}

#[tokio::test]
async fn eight_mebibytes_of_text_go_through_the_bus_and_one_byte_more_does_not() -> Result<(), Error> {
    let runtime = builder().services([Twice::service().erased()]).start().await?;
    let text = "ä".repeat(4 << 20);
    assert_eq!(runtime.invoke(Twice::NAME, &text).await?.decode::<String>()?, text);
    let error = runtime.invoke(Twice::NAME, format!("{text}x")).await.unwrap_err();
    assert!(error.to_string().contains("is 8388609 bytes, above the limit of 8388608 bytes"), "{error}");
    for payload in [Payload::empty(), Payload::bytes(vec![0, 255]), Payload::text("[1]")] {
        assert_eq!(runtime.invoke(Twice::NAME, &payload).await?, payload);
    }
    finish(&runtime).await
}
