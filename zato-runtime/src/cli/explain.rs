//! `explain`: one invocation in words, or as a value with its tree.

use serde_json::{Value, json};
use zato_core::Cid;

use super::error::CliError;
use super::output::Output;
use super::stands::{Look, value};
use crate::builder::Builder;
use crate::error::Error;
use crate::explain::explain as page;
use crate::standing::Teller;

/// Prints how one invocation stands, and the tree around it.
pub(super) async fn explain(builder: Builder, cid: Cid, output: Output) -> Result<bool, CliError> {
    let look = Look::open(builder)?;
    if !output.json {
        let page = page(look.view(), cid).await.map_err(Error::from)?.ok_or(Error::NotHeld(cid))?;
        Output::line(page.to_string().trim_end());
        return Ok(true);
    }
    let asked = look.view().find(cid).await.map_err(Error::from)?.ok_or(Error::NotHeld(cid))?;
    let tree = look.store.tree(asked.invocation.root).await.map_err(Error::from)?;
    let teller = Teller::new(look.view());
    let mut explained = value(&asked, &teller);
    let lines = teller.status(&asked, "");
    explained.insert("lines".to_owned(), json!(lines));
    let below: Vec<Value> = tree.found.iter().map(|found| value(found, &teller).into()).collect();
    explained.insert("swept".to_owned(), json!(tree.swept));
    explained.insert("tree".to_owned(), below.into());
    Output::value(&explained.into());
    Ok(true)
}
