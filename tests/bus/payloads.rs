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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Envelope {
    id: u8,
    body: Payload,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Carries {
    One(Payload),
    Named { body: Option<Payload> },
    Many(Vec<Payload>, BTreeMap<String, Payload>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Letter { body: Payload },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flattened {
    body: Payload,
    #[serde(flatten)]
    rest: BTreeMap<String, Payload>,
}

/// JSON that does not come back where it is read as numbers and maps.
const EXACT: [&str; 8] = [
    "340282366920938463463374607431768211456",
    "-99999999999999999999999999.5",
    "1.0",
    "1e400",
    "0.1000000000000000055511151231257827",
    r#"{"z":1,"a":2,"m":{"y":1.50,"b":[]}}"#,
    r#"{"twice":1,"twice":2}"#,
    r#"{ "spaced" : [ 1 , 2 ] }"#,
];

#[test]
fn a_payload_inside_a_value_keeps_every_digit_and_the_order_of_members() {
    let json = |text: &str| Payload::from_parts(Kind::Json, text.to_owned()).expect("UTF-8");
    for text in EXACT {
        let body = json(text);
        comes_back(&Envelope { id: 7, body: body.clone() });
        comes_back(&Some(Envelope { id: 7, body: body.clone() }));
        comes_back(&vec![body.clone(), Payload::text(text), body.clone()]);
        comes_back(&Carries::One(body.clone()));
        comes_back(&Carries::Named { body: Some(body.clone()) });
        let map = BTreeMap::from([("a".to_owned(), body.clone()), ("b".to_owned(), Payload::empty())]);
        comes_back(&Carries::Many(vec![body.clone()], map));
        let envelope = Payload::write(&Envelope { id: 7, body: body.clone() }).expect("it can be written");
        assert_eq!(envelope.to_string(), format!(r#"{{"id":7,"body":{text}}}"#));
        // Beside flattened members a payload is as exact.
        let flattened: Flattened =
            json(&format!(r#"{{"body":{text},"x":1}}"#)).decode().expect("it can be read");
        assert_eq!(flattened.body, body);
    }
    for body in [Payload::empty(), Payload::text(""), Payload::text("null"), Payload::text("\u{1F600}\n\"")] {
        comes_back(&Envelope { id: 7, body: body.clone() });
        comes_back(&vec![body]);
    }
    assert!(json(r#"{"id":7,"body":{"a":}}"#).decode::<Envelope>().is_err());
    assert!(json(r#"{"id":7}"#).decode::<Envelope>().is_err());
}

/// Serde buffers these before a payload is read: numbers up to 64 bits come back, and members by their names.
#[test]
fn a_payload_inside_a_buffered_value_is_read_as_a_value() {
    for (text, back) in [
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        (r#"{"z":1,"a":1.5}"#, r#"{"a":1.5,"z":1}"#),
        (r#""text""#, "text"),
        ("null", ""),
    ] {
        let json = |text: String| Payload::from_parts(Kind::Json, text).expect("UTF-8");
        let Tagged::Letter { body } =
            json(format!(r#"{{"body":{text},"kind":"Letter"}}"#)).decode().expect("it can be read");
        assert_eq!(body.to_string(), back);
        let value: serde_json::Value =
            serde_json::from_str(&format!(r#"{{"id":7,"body":{text}}}"#)).expect("JSON");
        let envelope: Envelope = serde_json::from_value(value).expect("it can be read");
        assert_eq!(envelope.body.to_string(), back);
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    name: Option<String>,
    values: Vec<(u8, Option<f32>)>,
    by_name: BTreeMap<String, Shape>,
}

fn measured(value: f32, radius: f64) -> Measured {
    let by_name = BTreeMap::from([("a".to_owned(), Shape::Circle(radius))]);
    Measured { name: None, values: vec![(1, None), (2, Some(value))], by_name }
}

#[test]
fn a_float_that_is_no_number_cannot_be_written() {
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for refused in [
            Payload::write(&float),
            Payload::write(&Some(float)),
            Payload::write(&[1.0, float]),
            Payload::write(&Shape::Circle(float)),
            Payload::write(&Shape::Rectangle { width: 1.0, height: float }),
            Payload::write(&measured(1.0, float)),
            #[expect(clippy::cast_possible_truncation, reason = "it stays what it is")]
            Payload::write(&measured(float as f32, 1.0)),
        ] {
            let error = refused.expect_err("JSON has no such number").to_string();
            assert!(
                error.contains("is not a number in JSON: send an `Option<f64>` that is `None`"),
                "{error}"
            );
        }
        assert!(Payload::write(&BTreeMap::from([(1, float)])).is_err());
    }
    let at =
        |value: f32, radius| Payload::write(&measured(value, radius)).expect_err("no number").to_string();
    assert!(at(f32::NAN, 1.0).contains("`NaN` at `values[1][1]`"), "{}", at(f32::NAN, 1.0));
    assert!(at(1.0, f64::INFINITY).contains("`inf` at `by_name[..].Circle`"), "{}", at(1.0, f64::INFINITY));
    // What is nothing on purpose is `null`, and so may a string say.
    for written in [
        Payload::write(&measured(1.0, 1.0)),
        Payload::write(&[None, Some(1.0)]),
        Payload::write(&(Marker, "null", ())),
        Payload::write(&serde_json::json!({"a": null})),
        Payload::write(&Envelope { id: 1, body: Payload::empty() }),
        Payload::write(&[f64::MAX, f64::MIN_POSITIVE, -0.0]),
    ] {
        written.expect("it can be written");
    }
}

#[service(name = "payloads.divide", max_attempts = 3)]
async fn divide(_: &Context, (of, by): (f64, f64)) -> Result<Vec<f64>> {
    Ok(vec![1.0, of / by])
}

#[tokio::test]
async fn a_response_that_is_no_number_is_a_failure_for_good() -> Result<(), Error> {
    let runtime = builder().services([divide::service().erased()]).start().await?;
    assert_eq!(runtime.invoke(divide::service(), (1.0, 2.0)).await?, [1.0, 0.5]);
    let cid = runtime.invoke_async(divide::service(), (1.0, 0.0)).await?;
    let outcome = runtime.outcome(cid).await?;
    let ending = outcome.ending().expect("it did not complete");
    assert_eq!((outcome.name(), ending.permanent), ("Failed", true));
    assert!(ending.error.contains("`inf` at `[1]` is not a number in JSON"), "{}", ending.error);
    let refused =
        runtime.invoke_async(divide::service(), (f64::NAN, 1.0)).await.expect_err("no such request");
    assert!(refused.is_permanent() && refused.to_string().contains("`NaN` at `[0]`"), "{refused}");
    finish(&runtime).await
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
