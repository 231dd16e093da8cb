//! The examples in the help.

/// A command line without the program, and a text that says what it does.
type Example = (&'static str, &'static str);

const OF_ALL: [Example; 9] = [
    ("services", "the services that are linked, with their callbacks"),
    ("invoke zato.ping", "run a service and print its response"),
    ("invoke zato.helpers.echo '{\"id\": 7}'", "with a payload: JSON, or any text"),
    ("invoke zato.helpers.echo --file order.json --async", "the CID at once, then every outcome"),
    ("run zato.helpers.echo --lines orders.jsonl", "one asynchronous invocation for every line"),
    ("serve", "run what is due, until asked to stop"),
    ("invocations --state waiting", "what waits, and the reason"),
    ("explain CID", "one invocation and the tree around it"),
    ("dead retry --all", "run everything again that has failed"),
];

/// By command; a command below another is named with it.
pub(super) const OF_COMMANDS: [(&str, &[Example]); 9] = [
    (
        "serve",
        &[
            ("serve", "on `zato.db` in the working directory"),
            ("serve --engine sqlite:/var/lib/orders/zato.db", "on another store"),
            ("serve --log warn,my_crate=debug", "with a shorter log, but more of one crate"),
        ],
    ),
    (
        "invoke",
        &[
            ("invoke orders.charge '{\"id\": 7}'", "a request in JSON, or any text"),
            ("invoke orders.charge --file order.json", "a request from a file"),
            ("invoke orders.charge - < order.json", "a request from standard input"),
            ("invoke orders.charge 7 --async", "with the attempts that the service has"),
            ("invoke orders.charge 7 --callback orders.booked", "and the response to another service"),
        ],
    ),
    (
        "run",
        &[
            ("run orders.charge --lines orders.jsonl", "every line of a file"),
            ("run orders.charge --json < orders.jsonl", "and list all lines that failed"),
        ],
    ),
    (
        "explain",
        &[
            ("explain 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a", "as a page"),
            ("explain 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a --json", "as a value, with its tree"),
        ],
    ),
    (
        "invocations",
        &[
            ("invocations --state running", "what runs now"),
            ("invocations --service orders.charge --limit 10", "the last ten of one service"),
            ("invocations --json | jq -r .cid", "their CIDs"),
        ],
    ),
    ("dead list", &[("dead list --service orders.charge", "what has failed of one service")]),
    (
        "dead retry",
        &[
            ("dead retry 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a", "this one"),
            ("dead retry --all --service orders.charge", "all that have failed of one service"),
        ],
    ),
    (
        "dead discard",
        &[
            ("dead discard 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a", "this one"),
            ("dead discard --all --yes", "all of them, without a question"),
        ],
    ),
    (
        "cancel",
        &[
            ("cancel 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a", "this one"),
            ("cancel 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a --with-tree", "and all that it has invoked"),
        ],
    ),
];

/// The text below the help of the program, whose engine by default is `engine`.
pub(super) fn of_all(program: &str, engine: &str) -> String {
    format!(
        "{}

Invocations are kept in `{engine}` by default. ZATO_ENGINE names another store, and --engine
overrides both. One process at a time runs what is in a store; `invocations`, `explain` and
`dead list` read it beside that process.

Exit codes:
  0    all went well; `serve`: it was asked to stop, and has finished what ran
  1    the command failed, or an invocation ended in anything but Completed
  2    the command line or the environment is faulty, and nothing was done
  130  ctrl-C stopped the command
  143  SIGTERM stopped the command",
        of(program, &OF_ALL)
    )
}

/// Lists the lines, each with its text beside it, or below it where there is no room.
pub(super) fn of(program: &str, lines: &[Example]) -> String {
    /// Where the second column begins, at the most.
    const SECOND: usize = 48;
    let length = |line: &str| 2 + program.chars().count() + 1 + line.chars().count() + 2;
    let fits = |line: &&Example| length(line.0) <= SECOND;
    let second = lines.iter().filter(fits).map(|(line, _)| length(line)).max().unwrap_or(SECOND);
    let mut text = "Examples:".to_owned();
    for (line, does) in lines {
        let line = format!("  {program} {line}");
        text.push('\n');
        if line.chars().count() + 2 > second {
            text.extend([&*line, "\n", &" ".repeat(second), does]);
        } else {
            text.extend([&*line, &" ".repeat(second - line.chars().count()), does]);
        }
    }
    text
}
