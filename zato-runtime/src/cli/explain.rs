//! `explain`: one invocation in words, or as a value with its tree.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use zato_core::Cid;

use super::args::ExplainArgs;
use super::error::CliError;
use super::listing::{StoreView, value};
use super::output::Output;
use super::payload;
use crate::inspect::explain::{Detail, explain as page, has_request, response};
use crate::inspect::outline::Extent;
use crate::inspect::status::StatusWriter;
use crate::record::lookup::InvocationInfo;
use crate::runtime::builder::Builder;
use crate::runtime::error::Error;

/// Prints the status of one invocation, and the tree around it.
pub(super) async fn explain(builder: Builder, args: ExplainArgs, output: Output) -> Result<bool, CliError> {
    let ExplainArgs { cid, payload, tree } = args;
    let look = StoreView::open(builder, output)?;
    let cid = cid.find(&*look.store).await?;
    if output.json {
        return explain_json(&look, cid, payload).await;
    }
    let extent = if tree { Extent::Whole } else { Extent::Around };
    let detail = Detail { extent, payloads: payload };
    let page = page(look.view(), cid, detail).await.map_err(Error::from)?.ok_or(Error::NotHeld(cid))?;
    Output::line(page.to_string().trim_end());
    Ok(true)
}

/// The same as one JSON value, with the whole tree.
async fn explain_json(look: &StoreView, cid: Cid, payloads: bool) -> Result<bool, CliError> {
    let asked = look.view().find(cid).await.map_err(Error::from)?.ok_or(Error::NotHeld(cid))?;
    let tree = look.store.tree(asked.invocation.root).await.map_err(Error::from)?;
    let teller = StatusWriter::new(look.view());
    let mut explained = value(&asked, &teller);
    explained.insert("lines".to_owned(), json!(teller.status(&asked, "")));
    let below: Vec<Value> = tree.found.iter().map(|found| value(found, &teller).into()).collect();
    explained.insert("swept".to_owned(), json!(tree.swept));
    explained.insert("tree".to_owned(), below.into());
    if payloads {
        let whole = with_payloads(explained, &asked).and_then(|whole| serde_json::to_string(&whole));
        Output::line(&whole?);
    } else {
        Output::value(&explained.into());
    }
    Ok(true)
}

/// Adds `request` and `response`, digit for digit.
fn with_payloads(
    explained: serde_json::Map<String, Value>,
    found: &InvocationInfo,
) -> serde_json::Result<BTreeMap<String, Box<RawValue>>> {
    let mut whole = BTreeMap::new();
    for (name, value) in explained {
        whole.insert(name, to_raw_value(&value)?);
    }
    if has_request(found) {
        whole.insert("request".to_owned(), payload::json(&found.invocation.payload)?);
    }
    if let Some(response) = response(found) {
        whole.insert("response".to_owned(), payload::json(response)?);
    }
    Ok(whole)
}
