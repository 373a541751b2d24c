//! The tree of commands: nouns and verbs from the operation table, and the commands of the tool itself.

use std::collections::BTreeMap;

use agentdb::{Database, Operation, Shape};
use clap::{Arg, ArgAction, Command};

use crate::arguments;

const EXAMPLES: &str = "Examples:
  agentdb state put agent-7 plan '{\"step\": 1}'
  agentdb state get agent-7 plan --json
  agentdb state get agent-7 plan --as-of 2026-11-28T09:30:00Z
  agentdb session create agent-7 --session s1
  agentdb message append s1 user '\"hello\"'
  agentdb collection create docs --dimension 3
  agentdb record put docs --record a --vector '[1, 0, 0]' --text 'first'
  agentdb link put docs a cites b
  agentdb search docs --vector '[1, 0, 0]'
  agentdb blob put photo.png --media-type image/png
  agentdb backup create s3://bucket/agents
  agentdb restore s3://bucket/agents new-data --time 2026-01-31T12:00:00Z
  agentdb namespace export default > default.jsonl
  agentdb namespace import copy < default.jsonl
  agentdb tour

Values are JSON; `@file` reads one from a file, `-` from standard input. Durations take units: 90s, 1h30m, 7d, 2w.
Exit codes: 0 done, 1 a check found something, 2 a mistake on the command line, 10 invalid, 11 limit, 12 not found,
13 conflict, 14 busy, 15 unavailable, 16 corruption, 17 unsupported.";

/// The whole command.
pub(crate) fn command() -> Command {
    let mut command = Command::new("agentdb")
        .about("The database that AI agents live in")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args(globals());
    for (noun, operations) in nouns() {
        let about = format!("Operations on a {noun}");
        let verbs = operations.into_iter().map(|o| operation(&noun, o)).chain(own_verbs(&noun));
        command =
            command.subcommand(Command::new(&noun).about(about).subcommand_required(true).subcommands(verbs));
    }
    // The one that is looked for in a hurry.
    let restore = Database::operations().iter().find(|o| o.about.name == "backup.restore");
    command.subcommands(own()).subcommands(restore.map(|restore| operation("backup", restore)))
}

/// The arguments that every command has.
pub(crate) fn globals() -> Vec<Arg> {
    let global = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).global(true)
    };
    vec![
        global("db", "DIR", "The database's directory").env("AGENTDB_DB").default_value("agentdb-data"),
        global("namespace", "NAME", "The namespace")
            .short('n')
            .env("AGENTDB_NAMESPACE")
            .default_value("default"),
        global("json", "", "Answer in JSON").action(ArgAction::SetTrue).value_name(None::<&str>),
        global("ack", "WHAT", "What an answer to a write means").value_parser(["durable", "written"]),
        global("idempotency-key", "KEY", "Makes a retry of a write safe"),
        global("subject", "ID", "Whose data a write holds: sealed in the log with the subject's key"),
        global("principal", "ID", "Who asks, for the log"),
        global("min-lsn", "LSN", "Read at this LSN or later").value_parser(clap::value_parser!(u64)),
        global("as-of", "LSN|TIME", "Read as of this LSN or time: states, sessions and their messages"),
    ]
}

fn nouns() -> BTreeMap<String, Vec<&'static Operation>> {
    let mut nouns: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for operation in Database::operations() {
        nouns.entry(noun(operation)).or_default().push(operation);
    }
    nouns
}

/// The name of the command that an operation's command is below.
pub(crate) fn noun(operation: &Operation) -> String {
    operation.about.name.split_once('.').map_or("", |(noun, _)| noun).replace('_', "-")
}

/// The name of an operation's command.
pub(crate) fn verb(operation: &Operation) -> String {
    operation.about.name.split_once('.').map_or("", |(_, verb)| verb).replace('_', "-")
}

fn operation(noun: &str, operation: &'static Operation) -> Command {
    let verb = verb(operation);
    let usage = arguments::usage(operation, &format!("agentdb {noun} {verb}"));
    let command = Command::new(verb)
        .about(operation.about.doc)
        .override_usage(usage)
        .args(arguments::of(operation))
        .arg(
            Arg::new("request")
                .long("request")
                .value_name("JSON")
                .exclusive(false)
                .help("The whole request in JSON form, instead of its fields"),
        );
    match operation.shape {
        _ if operation.about.name == "namespace.export" => {
            command.arg(lines("A new file for the lines; standard output if not given"))
        }
        _ if operation.about.name == "namespace.import" => {
            command.arg(lines("The lines; standard input if not given"))
        }
        _ if operation.about.name == "collection.load" => {
            command.arg(lines("The file: Arrow, Parquet, JSON lines or CSV; standard input if not given"))
        }
        Shape::Upload => command
            .arg(Arg::new("file").value_name("FILE").required(true).help("The bytes; - for standard input")),
        Shape::Unary | Shape::Stream | Shape::Long => command,
    }
}

fn lines(help: &'static str) -> Arg {
    Arg::new("file").value_name("FILE").default_value("-").hide_default_value(true).help(help)
}

/// What the tool adds to the verbs of a noun.
fn own_verbs(noun: &str) -> Option<Command> {
    let verify = || {
        Command::new("verify")
            .about("Check every frame of the log, without opening the database: checksum, order, chain")
    };
    (noun == "log").then(verify)
}

/// Which operations a line of the pipe cannot ask for.
fn not_for_pipe() -> String {
    let shaped = Database::operations().iter().filter(|o| o.shape != Shape::Unary);
    let names: Vec<&str> = shaped.map(|o| o.about.name).collect();
    format!("Not by a line, but by commands of their own: {}.", names.join(", "))
}

/// The commands of the tool itself.
fn own() -> Vec<Command> {
    let positional =
        |name: &'static str, help: &'static str| Arg::new(name).value_name(name.to_uppercase()).help(help);
    vec![
        Command::new("search")
            .about("Find the records nearest to a text or a vector, or that have its words, or both")
            .arg(positional("collection", "The collection").required(true))
            .arg(positional("text", "The text").num_args(0..))
            .arg(Arg::new("by").long("by").value_name("WAY").value_parser(["vector", "words", "both"]).default_value("vector")
                .help("By the vector of the text, which the local encoder makes; by its words (BM25); or by both, the rankings fused (docs/search.md)"))
            .arg(Arg::new("vector").long("vector").value_name("JSON").help("A vector instead of a text"))
            .arg(Arg::new("limit").long("limit").short('k').value_name("N").value_parser(clap::value_parser!(u64)))
            .arg(Arg::new("threshold").long("threshold").value_name("SCORE").allow_hyphen_values(true)
                .help("Only records whose score is this good: at least this similarity, or at most this distance"))
            .arg(Arg::new("filter").long("filter").value_name("JSON").help("Only records whose payload matches (docs/filters.md)"))
            .arg(Arg::new("group-by").long("group-by").value_name("FIELD").help("The best hit of each value of this field; the limit counts groups"))
            .arg(Arg::new("group-size").long("group-size").value_name("N").value_parser(clap::value_parser!(u64)).requires("group-by")
                .help("The best N hits of each group"))
            .arg(Arg::new("diversity").long("diversity").value_name("JSON").num_args(0..=1).require_equals(true).default_missing_value("{}")
                .help("Hits that are not all alike: {\"lambda\", \"candidates\", \"using\"}"))
            .arg(Arg::new("rerank").long("rerank").value_name("JSON")
                .help("Score the best anew: {\"vector\", \"text\", \"words\" or \"formula\", \"candidates\", \"weight\", \"first_weight\"}"))
            .arg(Arg::new("explain").long("explain").action(ArgAction::SetTrue)
                .help("Tell how the search is answered, and what scores by words are made of"))
            .arg(Arg::new("highlight").long("highlight").value_name("JSON").num_args(0..=1).require_equals(true).default_missing_value("{}")
                .help("Show the pieces of texts in which words were found: {\"fields\", \"fragment_size\", \"fragments\", \"pre_tag\", \"post_tag\"}"))
            .arg(Arg::new("pages").long("pages").action(ArgAction::SetTrue)
                .help("Tell a cursor if there are more hits; it holds as long as the database is open: in `agentdb shell`"))
            .arg(Arg::new("cursor").long("cursor").value_name("CURSOR").help("Where the page before ended")),
        Command::new("watch")
            .about("Print what changed in a namespace, a batch an event, up to now (docs/watch.md)")
            .after_help("It does not follow: one process owns a directory, and no other can write to it meanwhile.")
            .arg(Arg::new("from").long("from").value_name("LSN").value_parser(clap::value_parser!(u64))
                .help("From this LSN on: the one behind the last that was seen; else from the earliest that the log holds"))
            .arg(Arg::new("noun").long("noun").value_name("NOUN").action(ArgAction::Append)
                .help("Only this noun; may be repeated: state, session, message, blob, item, tool_call, collection, record, link, thread, checkpoint, checkpoint_write"))
            .arg(Arg::new("key").long("key").value_name("PART").action(ArgAction::Append)
                .help("Only what has this first component of its key (owner, session, collection, thread); repeated: the next one"))
            .arg(Arg::new("prefix").long("prefix").value_name("TEXT").help("Only what has a next component of its key that starts so"))
            .arg(Arg::new("values").long("values").action(ArgAction::SetTrue)
                .help("With what was put, where it is still there in that version"))
            .arg(Arg::new("progress").long("progress").value_name("N").value_parser(clap::value_parser!(u64))
                .help("After so many batches without a change that is watched, an event without changes")),
        Command::new("batch")
            .about("Commit operations together: JSON lines {\"op\": …, \"request\": …} from a file or standard input")
            .arg(positional("file", "The file, or - for standard input").default_value("-")),
        Command::new("pipe").about(
            "Answer requests line by line: each line of standard input is {\"op\", \"request\"} or {\"batch\": [...]}, \
             each line of standard output its answer",
        ).after_help(not_for_pipe()),
        Command::new("verify").about("Check everything stored: log, rows, digests, blobs (database.verify)"),
        Command::new("inspect").about("Show what a database is and holds"),
        Command::new("operations")
            .about("List the operation table")
            .arg(positional("name", "Only this operation, with its fields")),
        Command::new("shell")
            .about("Type commands one after another, on one open database; or run a script from standard input"),
        Command::new("completions")
            .about("Print completions for a shell")
            .arg(positional("shell", "bash, zsh, fish, elvish or powershell").required(true)
                .value_parser(clap::value_parser!(clap_complete::Shell))),
        Command::new("tour")
            .about("Do the main job on real documents: store, search, crash, recover")
            .arg(Arg::new("docs").long("docs").value_name("PATH")
                .help("A text file of your own, or a directory of Markdown and text files; else those of this workspace's dependencies"))
            .arg(Arg::new("crash").long("crash").hide(true).action(ArgAction::SetTrue)),
    ]
}
