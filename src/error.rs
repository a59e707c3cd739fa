//! The one table from the core's reasons to PostgreSQL's errors.

use kakunin_core::{Class, Reason};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// What a face function returns: its value, or a refusal in PostgreSQL's words.
pub type Result<T> = std::result::Result<T, ErrorReport>;

/// A core refusal as an error report: message, DETAIL that starts with the slug, HINT.
pub fn report(reason: Reason) -> ErrorReport {
    let code = sqlstate(reason.class());
    let report = ErrorReport::new(code, reason.message(), "kakunin").set_detail(format!(
        "{}: {}",
        reason.slug(),
        reason.detail()
    ));
    match reason.hint() {
        "" => report,
        hint => report.set_hint(hint),
    }
}

/// Raises a refusal, where there is no way to return it: in a trigger, or in a callback of PostgreSQL's.
pub fn raise(reason: Reason) -> ! {
    throw(report(reason))
}

/// The same of a report that was made.
pub fn throw(report: ErrorReport) -> ! {
    report.report(PgLogLevel::ERROR);
    unreachable!("an error report of level ERROR does not return")
}

fn sqlstate(class: Class) -> PgSqlErrorCode {
    match class {
        Class::IdentityNotProven => PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
        Class::ActRefused => PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        Class::UndecodableBytes => PgSqlErrorCode::ERRCODE_INVALID_BINARY_REPRESENTATION,
        Class::UndecodableText => PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION,
        Class::ArgumentOutOfRange => PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        Class::NotReady => PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        Class::Full => PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
        Class::LedgerChange => PgSqlErrorCode::ERRCODE_RESTRICT_VIOLATION,
        Class::LedgerBroken => PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
        Class::Unsupported => PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        Class::LimitExceeded => PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        Class::TriggerProtocol => PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
        Class::KeyService => PgSqlErrorCode::ERRCODE_IO_ERROR,
        Class::ReadOnly => PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
    }
}

/// What SPI says when it fails by itself; errors of a statement pass it by.
pub fn spi(failure: pgrx::spi::Error) -> ErrorReport {
    ErrorReport::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, failure.to_string(), "kakunin")
}
