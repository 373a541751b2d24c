//! Tool calls: journalled side effects.

use std::time::Duration;

use agentdb_engine::modules::tool_call::{self, Resolution, State};
use agentdb_types::{Code, Lsn, Result};
use serde_json::Value;

use crate::write::micros;
use crate::{Namespace, Page, Write, present};

/// The tool calls of a namespace, to look over.
#[derive(Clone)]
pub struct ToolCalls {
    namespace: Namespace,
}

impl ToolCalls {
    pub(crate) fn new(namespace: Namespace) -> Self {
        ToolCalls { namespace }
    }

    /// A page of an owner's calls, in the byte order of their keys; a prefix of the page is one of the keys.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.tool_call("run-1", "step-1/mail").claim("mail", json!({"to": "ann"})).wait()?;
    /// let listed = ns.tool_calls().of_owner("run-1", Page::default().prefix("step-1/"))?;
    /// assert_eq!(listed.items[0].tool, "mail");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn of_owner(&self, owner: impl Into<String>, page: Page) -> Result<tool_call::Listed> {
        let Page { limit, cursor, reverse, prefix } = page;
        let owner = Some(owner.into());
        let list = tool_call::List { owner, prefix, limit, cursor, reverse, ..tool_call::List::default() };
        self.namespace.read(list)
    }

    /// A page of the calls in a state: claimed and unknown ones by the end of their lease, the others by when they came into
    /// it, oldest first. More can be asked for with [`tool_call::List`]: those of one owner or tool.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::{Page, json, modules::tool_call::State};
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "mail");
    /// call.claim("mail", json!({"to": "ann"})).lease(Duration::from_micros(1)).wait()?;
    /// # std::thread::sleep(Duration::from_millis(1));
    /// // What an operator looks at: calls that nobody told the outcome of.
    /// let unknown = ns.tool_calls().in_state(State::Unknown, Page::default())?;
    /// assert_eq!(unknown.items[0].key, "mail");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn in_state(&self, state: State, page: Page) -> Result<tool_call::Listed> {
        let Page { limit, cursor, reverse, .. } = page.without_prefix()?;
        let state = Some(state);
        self.namespace.read(tool_call::List { state, limit, cursor, reverse, ..tool_call::List::default() })
    }

    /// A page of the calls of a tool, in the byte order of owner and key.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::{Page, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.tool_call("run-1", "mail").claim("mail", json!({"to": "ann"})).wait()?;
    /// assert_eq!(ns.tool_calls().of_tool("mail", Page::default())?.items[0].owner, "run-1");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn of_tool(&self, tool: impl Into<String>, page: Page) -> Result<tool_call::Listed> {
        let Page { limit, cursor, reverse, .. } = page.without_prefix()?;
        let tool = Some(tool.into());
        self.namespace.read(tool_call::List { tool, limit, cursor, reverse, ..tool_call::List::default() })
    }
}

/// A tool call: a side effect that must not happen twice. The handle names it by owner and key, whether or not it was ever
/// claimed.
///
/// Whoever is about to run the tool [claims](ToolCall::claim) the call, runs the tool, and tells what came of it. Whoever comes
/// back with the key is answered with that, instead of running the tool again.
///
/// ```
/// # use agentdb::{Code, json, modules::tool_call::Answer};
/// # let dir = tempfile::tempdir().unwrap();
/// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
/// # fn pay() -> &'static str { "r-7" }
/// let call = ns.tool_call("run-1", "pay");
/// let receipt = match call.claim("pay", json!({"to": "bob", "cents": 100})).wait()?.response {
///     Answer::Claimed { epoch, .. } => {
///         let receipt = json!(pay());
///         call.complete(epoch, receipt.clone()).wait()?;
///         receipt
///     }
///     Answer::Completed { result, .. } => result,
///     Answer::Failed { error, .. } => panic!("it failed: {error}"),
/// };
/// assert_eq!(receipt, "r-7");
/// # Ok::<(), agentdb::Error>(())
/// ```
#[derive(Clone)]
pub struct ToolCall {
    namespace: Namespace,
    owner: String,
    key: String,
}

impl ToolCall {
    pub(crate) fn new(namespace: Namespace, owner: String, key: String) -> Self {
        ToolCall { namespace, owner, key }
    }

    fn place(&self) -> (String, String) {
        (self.owner.clone(), self.key.clone())
    }

    /// Asks for leave to run the tool, or for what came of it. Refused with [`Code::ToolCallRunning`] while somebody else has
    /// it, with [`Code::ToolCallUnknown`] if a lease ended and nobody told what came of it, with [`Code::ToolCallMismatch`] for
    /// another tool or other arguments. It has no idempotency key: its answer gives leave once.
    ///
    /// ```
    /// # use agentdb::{Code, json, modules::tool_call::Answer};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "pay");
    /// let claim = call.claim("pay", json!({"to": "bob"})).wait()?;
    /// assert!(matches!(claim.response, Answer::Claimed { epoch, attempt: 1, .. } if epoch == claim.lsn));
    /// let elsewhere = call.claim("pay", json!({"to": "bob"})).wait();
    /// assert_eq!(elsewhere.unwrap_err().code(), Code::ToolCallRunning);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn claim(&self, tool: impl Into<String>, arguments: impl Into<Value>) -> Write<tool_call::Claim> {
        let (owner, key) = self.place();
        self.namespace.write(tool_call::Claim::new(owner, key, tool, arguments))
    }

    /// Records the result, under the epoch of the claim. Refused with [`Code::ToolCallFenced`] if somebody else has claimed or
    /// resolved the call since; in a batch, the whole batch is. The same result again is answered as the first time.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "pay");
    /// let epoch = call.claim("pay", json!({"to": "bob"})).wait()?.response.epoch().unwrap();
    /// // With what follows from it, together or not at all.
    /// ns.batch()
    ///     .push(call.complete(epoch, json!({"receipt": 7})))
    ///     .push(ns.session("s1").append("tool", "paid").owner("agent-7"))
    ///     .wait()?;
    /// assert_eq!(call.get()?.unwrap().result, Some(json!({"receipt": 7})));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn complete(&self, epoch: Lsn, result: impl Into<Value>) -> Write<tool_call::Complete> {
        let (owner, key) = self.place();
        self.namespace.write(tool_call::Complete { owner, key, epoch, result: result.into() })
    }

    /// Records a failure: a final one unless the write is told [`retry`](Write::<tool_call::Fail>::retry).
    ///
    /// ```
    /// # use agentdb::{json, modules::tool_call::Answer};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "pay");
    /// let epoch = call.claim("pay", json!({"to": "bob"})).wait()?.response.epoch().unwrap();
    /// call.fail(epoch, json!({"reason": "no such account"})).wait()?;
    /// let again = call.claim("pay", json!({"to": "bob"})).wait()?.response;
    /// assert!(matches!(again, Answer::Failed { error, .. } if error["reason"] == "no such account"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn fail(&self, epoch: Lsn, error: impl Into<Value>) -> Write<tool_call::Fail> {
        let (owner, key) = self.place();
        self.namespace.write(tool_call::Fail { owner, key, epoch, error: error.into(), retry: false })
    }

    /// Makes the lease start anew, for as long as was claimed. To be called well before it ends while the tool runs.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "crawl");
    /// let epoch = call.claim("crawl", json!({"site": "example.org"})).wait()?.response.epoch().unwrap();
    /// let renewed = call.renew(epoch).progress(json!({"pages": 12})).wait()?.response;
    /// let entry = call.get()?.unwrap();
    /// assert_eq!((entry.lease_end, entry.progress), (Some(renewed.lease_end), Some(json!({"pages": 12}))));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn renew(&self, epoch: Lsn) -> Write<tool_call::Renew> {
        let (owner, key) = self.place();
        self.namespace.write(tool_call::Renew { owner, key, epoch, lease_us: None, progress: None })
    }

    /// Tells what became of a call that is unknown: it was completed.
    ///
    /// ```
    /// # use agentdb::{Code, json, modules::tool_call::Answer};
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "pay");
    /// let claim = || call.claim("pay", json!({"to": "bob"})).lease(Duration::from_micros(1));
    /// let epoch = claim().wait()?.response.epoch().unwrap();
    /// # std::thread::sleep(Duration::from_millis(1));
    /// assert_eq!(claim().wait().unwrap_err().code(), Code::ToolCallUnknown);
    /// // Somebody has looked at the bank's list of payments.
    /// call.resolve_completed(epoch, json!({"receipt": 7})).wait()?;
    /// assert!(matches!(claim().wait()?.response, Answer::Completed { .. }));
    /// // Who had claimed it comes late.
    /// assert_eq!(call.complete(epoch, json!(8)).wait().unwrap_err().code(), Code::ToolCallFenced);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn resolve_completed(&self, epoch: Lsn, result: impl Into<Value>) -> Write<tool_call::Resolve> {
        self.resolve(epoch, Resolution::Completed, Some(result.into()), None)
    }

    /// Tells what became of a call that is unknown: its side effect has not happened, and is not to be tried again.
    ///
    /// ```
    /// # use agentdb::{json, modules::tool_call::State};
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "pay");
    /// let epoch = call.claim("pay", json!({"to": "bob"})).lease(Duration::from_micros(1)).wait()?.response.epoch().unwrap();
    /// # std::thread::sleep(Duration::from_millis(1));
    /// call.resolve_failed(epoch, json!("too late to pay")).wait()?;
    /// assert_eq!(call.get()?.unwrap().state, State::Failed);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn resolve_failed(&self, epoch: Lsn, error: impl Into<Value>) -> Write<tool_call::Resolve> {
        self.resolve(epoch, Resolution::Failed, None, Some(error.into()))
    }

    /// Tells that the tool of a call that is unknown is to be run again, by whoever claims it next.
    ///
    /// ```
    /// # use agentdb::{json, modules::tool_call::Answer};
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "pay");
    /// let claim = || call.claim("pay", json!({"to": "bob"})).lease(Duration::from_micros(1));
    /// let epoch = claim().wait()?.response.epoch().unwrap();
    /// # std::thread::sleep(Duration::from_millis(1));
    /// call.resolve_retry(epoch).wait()?;
    /// assert!(matches!(claim().wait()?.response, Answer::Claimed { .. }));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn resolve_retry(&self, epoch: Lsn) -> Write<tool_call::Resolve> {
        self.resolve(epoch, Resolution::Retry, None, None)
    }

    fn resolve(
        &self,
        epoch: Lsn,
        resolution: Resolution,
        result: Option<Value>,
        error: Option<Value>,
    ) -> Write<tool_call::Resolve> {
        let (owner, key) = self.place();
        self.namespace.write(tool_call::Resolve { owner, key, epoch, resolution, result, error })
    }

    /// The call with its state, epoch and outcome; `None` if it was never claimed or is not kept any more. It claims nothing.
    ///
    /// # Errors
    /// Those of a read.
    ///
    /// ```
    /// # use agentdb::{json, modules::tool_call::State};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "pay");
    /// assert!(call.get()?.is_none());
    /// call.claim("pay", json!({"to": "bob"})).worker("host-1").wait()?;
    /// let entry = call.get()?.unwrap();
    /// assert_eq!((entry.state, entry.worker.as_deref()), (State::Claimed, Some("host-1")));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get(&self) -> Result<Option<tool_call::Entry>> {
        let (owner, key) = self.place();
        present(self.namespace.read(tool_call::Get { owner, key }), Code::ToolCallNotFound)
    }

    /// Forgets a call whose outcome is known, or that may be run again; it is no error if there is none. One that is claimed or
    /// unknown is refused.
    ///
    /// ```
    /// # use agentdb::{Code, json};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "pay");
    /// let epoch = call.claim("pay", json!({"to": "bob"})).wait()?.response.epoch().unwrap();
    /// assert_eq!(call.delete().wait().unwrap_err().code(), Code::ToolCallRunning);
    /// call.complete(epoch, json!(7)).wait()?;
    /// assert!(call.delete().wait()?.response.deleted);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete(&self) -> Write<tool_call::Delete> {
        let (owner, key) = self.place();
        self.namespace.write(tool_call::Delete { owner, key })
    }
}

impl Write<tool_call::Claim> {
    /// Declares that running the tool twice does no harm: if nobody tells what became of this claim, the call may be claimed
    /// again at once.
    ///
    /// ```
    /// # use agentdb::{json, modules::tool_call::Answer};
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "look up");
    /// let claim = || call.claim("look up", json!("weather")).lease(Duration::from_micros(1)).idempotent();
    /// claim().wait()?;
    /// # std::thread::sleep(Duration::from_millis(1));
    /// assert!(matches!(claim().wait()?.response, Answer::Claimed { attempt: 2, .. }));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn idempotent(self) -> Self {
        self.with(|claim| claim.idempotent = true)
    }

    /// For how long the call is claimed unless it is renewed; one minute if not said otherwise. It must be longer than the tool
    /// takes.
    ///
    /// ```
    /// # use agentdb::json;
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "train");
    /// call.claim("train", json!({})).lease(Duration::from_secs(3600)).wait()?;
    /// let entry = call.get()?.unwrap();
    /// assert_eq!(entry.lease_end.unwrap().micros() - entry.created.micros(), 3_600_000_000);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn lease(self, lease: Duration) -> Self {
        self.with(|claim| claim.lease_us = Some(micros(lease)))
    }

    /// Who claims, to be told to whoever comes while it runs.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "pay");
    /// call.claim("pay", json!({})).worker("host-1").wait()?;
    /// let elsewhere = call.claim("pay", json!({})).worker("host-2").wait().unwrap_err();
    /// assert_eq!(elsewhere.value("worker"), Some("host-1"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn worker(self, worker: impl Into<String>) -> Self {
        self.with(|claim| claim.worker = Some(worker.into()))
    }

    /// How many attempts there may be in all. A retryable failure of the last one is final.
    ///
    /// ```
    /// # use agentdb::{json, modules::tool_call::State};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "fetch");
    /// let epoch = call.claim("fetch", json!({})).max_attempts(1).wait()?.response.epoch().unwrap();
    /// assert_eq!(call.fail(epoch, json!("no answer")).retry().wait()?.response.state, State::Failed);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn max_attempts(self, attempts: u64) -> Self {
        self.with(|claim| claim.max_attempts = Some(attempts))
    }

    /// For how long the call is kept once it is finished; for ever if not said otherwise. Longer than anybody may come back
    /// with the key: after that, the tool is run again.
    ///
    /// ```
    /// # use agentdb::json;
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "pay");
    /// let epoch = call.claim("pay", json!({})).keep(Duration::from_secs(7 * 86_400)).wait()?.response.epoch().unwrap();
    /// assert!(call.complete(epoch, json!(7)).wait()?.response.expires.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn keep(self, keep: Duration) -> Self {
        self.with(|claim| claim.keep_us = Some(micros(keep)))
    }
}

impl Write<tool_call::Fail> {
    /// The tool may be run again: it is certain that its side effect has not happened, or that it does no harm twice.
    ///
    /// ```
    /// # use agentdb::{json, modules::tool_call::Answer};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "fetch");
    /// let epoch = call.claim("fetch", json!({})).wait()?.response.epoch().unwrap();
    /// call.fail(epoch, json!("busy")).retry().wait()?;
    /// assert!(matches!(call.claim("fetch", json!({})).wait()?.response, Answer::Claimed { attempt: 2, .. }));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn retry(self) -> Self {
        self.with(|fail| fail.retry = true)
    }
}

impl Write<tool_call::Renew> {
    /// For how long from now, if not for as long as was claimed.
    ///
    /// ```
    /// # use agentdb::json;
    /// # use std::time::Duration;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "train");
    /// let epoch = call.claim("train", json!({})).wait()?.response.epoch().unwrap();
    /// let before = call.get()?.unwrap().lease_end.unwrap();
    /// let after = call.renew(epoch).lease(Duration::from_secs(600)).wait()?.response.lease_end;
    /// assert!(after.micros() - before.micros() >= 540_000_000);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn lease(self, lease: Duration) -> Self {
        self.with(|renew| renew.lease_us = Some(micros(lease)))
    }

    /// How far the tool is. Whoever claims another attempt is told it.
    ///
    /// ```
    /// # use agentdb::{json, modules::tool_call::Answer};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let call = ns.tool_call("run-1", "crawl");
    /// let epoch = call.claim("crawl", json!({})).wait()?.response.epoch().unwrap();
    /// call.renew(epoch).progress(json!({"pages": 12})).wait()?;
    /// call.fail(epoch, json!("shut down")).retry().wait()?;
    /// let again = call.claim("crawl", json!({})).wait()?.response;
    /// assert!(matches!(again, Answer::Claimed { progress: Some(progress), .. } if progress["pages"] == 12));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn progress(self, progress: impl Into<Value>) -> Self {
        self.with(|renew| renew.progress = Some(progress.into()))
    }
}
