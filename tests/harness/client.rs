//! What a client sees: connections of the `postgres` crate, and refusals.

/// The database that a cluster has, with the extension in it.
pub const DATABASE: &str = "test";

/// The SQLSTATE of an error; empty when the server did not send one (the connection broke, say).
pub fn sqlstate_of(error: &postgres::Error) -> String {
    error.code().map(|state| state.code().to_owned()).unwrap_or_default()
}

/// What the server said when it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Five characters, as in `28000`.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// DETAIL, or an empty text.
    pub detail: String,
    /// HINT, or an empty text.
    pub hint: String,
    /// CONTEXT, or an empty text.
    pub context: String,
}

impl Refusal {
    /// The word that names the reason: what stands before the colon in DETAIL.
    pub fn slug(&self) -> &str {
        self.detail.split_once(':').map_or("", |(slug, _)| slug)
    }

    /// Everything that the client got, to look for what must not be in it.
    pub fn text(&self) -> String {
        [&*self.sqlstate, &self.message, &self.detail, &self.hint, &self.context].join("\n")
    }
}

/// The refusal in a result that must be one.
///
/// # Panics
/// When it is not an error, or one that the server did not send.
pub fn refusal_of<T>(result: Result<T, postgres::Error>) -> Refusal {
    let Err(error) = result else { panic!("this must be refused, and it was not") };
    let Some(error) = error.as_db_error() else { panic!("the server did not answer: {error}") };
    let text = |field: Option<&str>| field.unwrap_or_default().to_owned();
    Refusal {
        sqlstate: error.code().code().to_owned(),
        message: error.message().to_owned(),
        detail: text(error.detail()),
        hint: text(error.hint()),
        context: text(error.where_()),
    }
}
