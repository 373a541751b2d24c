//! Sessions and their messages.

use std::time::Duration;

use agentdb_engine::modules::session::{self, message};
use agentdb_types::{Code, Lsn, Result};
use serde_json::Value;

use crate::write::{micros, object};
use crate::{Namespace, Page, Write, present};

/// The sessions of a namespace.
#[derive(Clone)]
pub struct Sessions {
    namespace: Namespace,
}

impl Sessions {
    pub(crate) fn new(namespace: Namespace) -> Self {
        Sessions { namespace }
    }

    /// Creates a session of an owner under a new id, a UUID of version 7: such ids sort by the time of creation.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let session = ns.sessions().create("agent-7").title("Planning").wait()?.response.session;
    /// assert_eq!(ns.session(session).get()?.unwrap().owner, "agent-7");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn create(&self, owner: impl Into<String>) -> Write<session::Create> {
        self.namespace.write(session::Create::new(owner))
    }

    /// A page of all sessions, in the byte order of their ids.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").wait()?;
    /// assert_eq!(ns.sessions().list(Page::default())?.items[0].session, "s1");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(&self, page: Page) -> Result<session::Listed> {
        self.page(None, page)
    }

    /// A page of an owner's sessions, in the byte order of their ids; the newest first with [`Page::last`], if the ids were
    /// generated.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").wait()?;
    /// assert_eq!(ns.sessions().list_of("agent-7", Page::last(10))?.items.len(), 1);
    /// assert!(ns.sessions().list_of("agent-8", Page::last(10))?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list_of(&self, owner: impl Into<String>, page: Page) -> Result<session::Listed> {
        self.page(Some(owner.into()), page)
    }

    fn page(&self, owner: Option<String>, page: Page) -> Result<session::Listed> {
        let Page { limit, cursor, reverse, .. } = page.without_prefix()?;
        self.namespace.read(session::List { owner, limit, cursor, reverse })
    }
}

/// A session and its messages: what a chat history is. The handle names it, whether or not it exists.
///
/// As in the stores of chat histories that people know, a session to which nobody has written has no messages, and
/// [`append`](Session::append) creates it if it is told the [owner](Write::owner).
#[derive(Clone)]
pub struct Session {
    pub(crate) namespace: Namespace,
    pub(crate) session: String,
}

impl Session {
    pub(crate) fn new(namespace: Namespace, session: String) -> Self {
        Session { namespace, session }
    }

    /// Creates the session; refused with [`Code::SessionExists`] if there is one of this id.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").metadata(json!({"topic": "plans"})).wait()?;
    /// assert!(ns.session("s1").create("agent-7").wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn create(&self, owner: impl Into<String>) -> Write<session::Create> {
        let session = Some(self.session.clone());
        self.namespace.write(session::Create { session, ..session::Create::new(owner) })
    }

    /// What the session is: owner, title, metadata, times, how many messages it has; `None` if there is none.
    ///
    /// # Errors
    /// Those of a read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert!(ns.session("s1").get()?.is_none());
    /// ns.session("s1").create("agent-7").wait()?;
    /// assert_eq!(ns.session("s1").get()?.unwrap().messages, 0);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn get(&self) -> Result<Option<session::Entry>> {
        present(self.namespace.read(session::Get::new(self.session.clone())), Code::SessionNotFound)
    }

    /// Changes title, metadata or time to live: those that the write is told. Refused with [`Code::SessionNotFound`] if there
    /// is no such session.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").wait()?;
    /// ns.session("s1").update().title("Plans").metadata(json!({"done": true})).wait()?;
    /// assert_eq!(ns.session("s1").get()?.unwrap().title.as_deref(), Some("Plans"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn update(&self) -> Write<session::Update> {
        let session = self.session.clone();
        self.namespace.write(session::Update { session, ..session::Update::default() })
    }

    /// Deletes the session with its messages; it is no error if there is none.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").wait()?;
    /// assert!(ns.session("s1").delete().wait()?.response.deleted);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete(&self) -> Write<session::Delete> {
        self.namespace.write(session::Delete { session: self.session.clone() })
    }

    /// Appends a message: who speaks, and what is said, a text or any JSON. Refused with [`Code::SessionNotFound`] if there is
    /// no such session, unless the write names its [owner](Write::owner).
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").wait()?;
    /// let second = ns.session("s1").append("assistant", json!([{"type": "text", "text": "hi"}])).wait()?;
    /// assert_eq!(second.response.sequence, 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn append(&self, role: impl Into<String>, content: impl Into<Value>) -> Write<message::Append> {
        self.namespace.write(message::Append::new(self.session.clone(), role, content))
    }

    /// A page of the messages, oldest first, or newest first with [`Page::last`]. Empty if there is no such session.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").wait()?;
    /// assert_eq!(ns.session("s1").messages(Page::default())?.items[0].content, "hello");
    /// assert!(ns.session("s2").messages(Page::default())?.items.is_empty());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn messages(&self, page: Page) -> Result<message::Listed> {
        let Page { limit, cursor, reverse, .. } = page.without_prefix()?;
        let session = self.session.clone();
        let list = message::List { session, limit, cursor, reverse, ..message::List::default() };
        let listed = present(self.namespace.read(list), Code::SessionNotFound)?;
        Ok(listed.unwrap_or(message::Listed { items: Vec::new(), cursor: None }))
    }

    /// The last messages, `count` of them at most, oldest first: what a model is given. None if there is no such session.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`] for none, or more than 10,000.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// for text in ["one", "two", "three"] {
    ///     ns.session("s1").append("user", text).owner("agent-7").wait()?;
    /// }
    /// let last = ns.session("s1").last_messages(2)?;
    /// assert_eq!((&last[0].content, &last[1].content), (&json!("two"), &json!("three")));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn last_messages(&self, count: usize) -> Result<Vec<message::Entry>> {
        let mut items = self.messages(Page::last(count))?.items;
        items.reverse();
        Ok(items)
    }

    /// A message by its id; `None` if there is none, or no such session.
    ///
    /// # Errors
    /// Those of a read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let sent = ns.session("s1").append("user", "hello").owner("agent-7").wait()?.response;
    /// assert_eq!(ns.session("s1").message(sent.message)?.unwrap().role, "user");
    /// assert!(ns.session("s1").message("none")?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn message(&self, message: impl Into<String>) -> Result<Option<message::Entry>> {
        let get = message::Get { session: self.session.clone(), message: message.into() };
        let found = present(self.namespace.read(get), Code::MessageNotFound);
        present(found, Code::SessionNotFound).map(Option::flatten)
    }

    /// Changes a message's content, name or metadata: those that the write is told. Its id, role, place and time stay. Refused
    /// with [`Code::MessageNotFound`] if there is none.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let sent = ns.session("s1").append("user", "helo").owner("agent-7").wait()?.response;
    /// ns.session("s1").update_message(&sent.message).content("hello").wait()?;
    /// assert_eq!(ns.session("s1").message(sent.message)?.unwrap().content, "hello");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn update_message(&self, message: impl Into<String>) -> Write<message::Update> {
        let (session, message) = (self.session.clone(), message.into());
        self.namespace.write(message::Update { session, message, ..message::Update::default() })
    }

    /// Deletes a message; it is no error if there is none. The others keep their sequence numbers.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let sent = ns.session("s1").append("user", "hello").owner("agent-7").wait()?.response;
    /// assert!(ns.session("s1").delete_message(sent.message).wait()?.response.deleted);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete_message(&self, message: impl Into<String>) -> Write<message::Delete> {
        self.namespace.write(message::Delete { session: self.session.clone(), message: message.into() })
    }

    /// Deletes all messages and keeps the session. Sequence numbers go on.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").wait()?;
    /// assert_eq!(ns.session("s1").clear().wait()?.response.deleted, 1);
    /// assert_eq!(ns.session("s1").append("user", "again").wait()?.response.sequence, 2);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn clear(&self) -> Write<message::Clear> {
        self.namespace.write(message::Clear { session: self.session.clone() })
    }
}

impl Write<session::Create> {
    /// What people call the session.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").title("Plans").wait()?;
    /// assert_eq!(ns.session("s1").get()?.unwrap().title.as_deref(), Some("Plans"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn title(self, title: impl Into<String>) -> Self {
        self.with(|create| create.title = Some(title.into()))
    }

    /// A JSON object to keep with the session.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").metadata(json!({"topic": "plans"})).wait()?;
    /// assert_eq!(ns.session("s1").get()?.unwrap().metadata["topic"], "plans");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn metadata(self, metadata: impl Into<Value>) -> Self {
        self.try_with(|create| object("metadata", metadata.into()).map(|map| create.metadata = map))
    }

    /// The session is deleted with its messages when it has not changed for this time, counted in whole microseconds, rounded
    /// up.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let created = ns.session("s1").create("agent-7").ttl(std::time::Duration::from_secs(3600)).wait()?;
    /// assert!(created.response.expires.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|create| create.ttl_us = Some(micros(ttl)))
    }
}

impl Write<session::Update> {
    /// The new title.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").wait()?;
    /// ns.session("s1").update().title("Plans").wait()?;
    /// assert_eq!(ns.session("s1").get()?.unwrap().title.as_deref(), Some("Plans"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn title(self, title: impl Into<String>) -> Self {
        self.with(|update| update.title = Some(Some(title.into())))
    }

    /// Takes the title away.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").title("Plans").wait()?;
    /// ns.session("s1").update().without_title().wait()?;
    /// assert_eq!(ns.session("s1").get()?.unwrap().title, None);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn without_title(self) -> Self {
        self.with(|update| update.title = Some(None))
    }

    /// A JSON object, merged into the metadata (RFC 7396): given fields are replaced, null removes one.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").metadata(json!({"a": 1, "b": 2})).wait()?;
    /// ns.session("s1").update().metadata(json!({"a": null})).wait()?;
    /// assert_eq!(ns.session("s1").get()?.unwrap().metadata.len(), 1);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn metadata(self, patch: impl Into<Value>) -> Self {
        self.with(|update| update.metadata = Some(patch.into()))
    }

    /// The new time to live after the last change; `None` to keep the session for ever.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").create("agent-7").ttl(std::time::Duration::from_secs(3600)).wait()?;
    /// assert!(ns.session("s1").update().ttl(None).wait()?.response.expires.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn ttl(self, ttl: impl Into<Option<Duration>>) -> Self {
        self.with(|update| update.ttl_us = Some(ttl.into().map(micros)))
    }
}

impl Write<message::Append> {
    /// The session's owner: a session that does not exist is created, one of another owner is refused with
    /// [`Code::SessionMismatch`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").wait()?;
    /// assert!(ns.session("s1").append("user", "hello").owner("agent-8").wait().is_err());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn owner(self, owner: impl Into<String>) -> Self {
        self.with(|append| append.owner = Some(owner.into()))
    }

    /// The message's id, unique in the session; a UUID of version 7 if not given.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").id("m1").wait()?;
    /// assert!(ns.session("s1").message("m1")?.is_some());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn id(self, message: impl Into<String>) -> Self {
        self.with(|append| append.message = Some(message.into()))
    }

    /// The speaker's name.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").name("Ann").id("m1").wait()?;
    /// assert_eq!(ns.session("s1").message("m1")?.unwrap().name.as_deref(), Some("Ann"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with(|append| append.name = Some(name.into()))
    }

    /// A JSON object to keep with the message.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").metadata(json!({"tokens": 3})).id("m1").wait()?;
    /// assert_eq!(ns.session("s1").message("m1")?.unwrap().metadata["tokens"], 3);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn metadata(self, metadata: impl Into<Value>) -> Self {
        self.try_with(|append| object("metadata", metadata.into()).map(|map| append.metadata = map))
    }
}

impl Write<message::Update> {
    /// The new content.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "helo").owner("agent-7").id("m1").wait()?;
    /// ns.session("s1").update_message("m1").content("hello").wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn content(self, content: impl Into<Value>) -> Self {
        self.with(|update| update.content = Some(content.into()))
    }

    /// The speaker's new name.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").id("m1").wait()?;
    /// ns.session("s1").update_message("m1").name("Ann").wait()?;
    /// assert_eq!(ns.session("s1").message("m1")?.unwrap().name.as_deref(), Some("Ann"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with(|update| update.name = Some(Some(name.into())))
    }

    /// Takes the speaker's name away.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").id("m1").name("Ann").wait()?;
    /// ns.session("s1").update_message("m1").without_name().wait()?;
    /// assert_eq!(ns.session("s1").message("m1")?.unwrap().name, None);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn without_name(self) -> Self {
        self.with(|update| update.name = Some(None))
    }

    /// A JSON object, merged into the metadata (RFC 7396): given fields are replaced, null removes one.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.session("s1").append("user", "hello").owner("agent-7").id("m1").wait()?;
    /// ns.session("s1").update_message("m1").metadata(json!({"rating": 5})).wait()?;
    /// assert_eq!(ns.session("s1").message("m1")?.unwrap().metadata["rating"], 5);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn metadata(self, patch: impl Into<Value>) -> Self {
        self.with(|update| update.metadata = Some(patch.into()))
    }

    /// Only if the message has this version; refused with [`Code::VersionMismatch`] otherwise.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let version = ns.session("s1").append("user", "helo").owner("agent-7").id("m1").wait()?.lsn;
    /// ns.session("s1").update_message("m1").content("hello").if_version(version).wait()?;
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn if_version(self, version: Lsn) -> Self {
        self.with(|update| update.expected_version = Some(version))
    }
}
