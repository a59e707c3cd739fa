//! Makes policies cheap, however they write the call.
//!
//! `col = (select kakunin_cert_serial())` is evaluated once per statement: right for a scan, but it costs about a
//! microsecond of executor start, which a point query notices. `col = kakunin_cert_serial()` is the other way round.
//! So every call in a row-security condition is planned as a scalar subquery, and where the finished plan evaluates
//! it for a row or two only, [`light`] turns it into the bare call. Only row-security conditions are touched: they
//! hold no grouping or output columns whose identity a rewrite could disturb.

use super::light;
use crate::policy;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{c_char, c_void};

/// Chains into the planner.
pub fn install() {
    // SAFETY: _PG_init runs once per process; the previous hook is kept and called.
    unsafe {
        PREVIOUS = pg_sys::planner_hook;
        pg_sys::planner_hook = Some(plan);
        pg_sys::CacheRegisterSyscacheCallback(
            pg_sys::SysCacheIdentifier::PROCOID as i32,
            Some(forget_functions),
            pg_sys::Datum::from(0),
        );
    }
}

// Not guarded and without destructors, so that errors of the planner reach the user with context and position.
unsafe extern "C-unwind" fn plan(
    query: *mut pg_sys::Query,
    source: *const c_char,
    options: i32,
    parameters: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: PostgreSQL passes a query tree that the planner may scribble on, and expects it planned.
    unsafe {
        let secured = (*query).hasRowSecurity;
        if secured {
            wrap_calls(query);
        }
        let planned = match PREVIOUS {
            Some(previous) => previous(query, source, options, parameters),
            None => raw::standard_planner(query, source, options, parameters),
        };
        if secured {
            light::unwrap_calls(planned);
        }
        planned
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn wrap_calls(query: *mut pg_sys::Query) {
    // SAFETY: a valid query tree, see `plan`.
    unsafe { visit(query.cast(), std::ptr::null_mut()) };
}

/// Walks every query level, and rewrites the row-security conditions found there.
#[pg_guard]
unsafe extern "C-unwind" fn visit(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers hand over valid nodes or NULL; the node tag tells the type.
    unsafe {
        if node.is_null() {
            return false;
        }
        if (*node).type_ != pg_sys::NodeTag::T_Query {
            return pg_sys::expression_tree_walker(node, Some(visit), context);
        }
        let query: *mut pg_sys::Query = node.cast();
        let relations = pgrx::PgList::<pg_sys::RangeTblEntry>::from_pg((*query).rtable);
        for relation in relations.iter_ptr() {
            if contains_call((*relation).securityQuals.cast(), std::ptr::null_mut()) {
                (*relation).securityQuals = wrap((*relation).securityQuals.cast(), std::ptr::null_mut()).cast();
                (*query).hasSubLinks = true;
            }
        }
        pg_sys::query_tree_walker(query, Some(visit), context, 0)
    }
}

/// Does the expression call one of our functions outside a subquery?
#[pg_guard]
unsafe extern "C-unwind" fn contains_call(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: as in `visit`. Subqueries are levels of their own.
    unsafe {
        if node.is_null() || (*node).type_ == pg_sys::NodeTag::T_Query {
            return false;
        }
        is_constant_call(node) || pg_sys::expression_tree_walker(node, Some(contains_call), context)
    }
}

/// A copy of the expression with every call in a subquery of its own.
#[pg_guard]
unsafe extern "C-unwind" fn wrap(node: *mut pg_sys::Node, context: *mut c_void) -> *mut pg_sys::Node {
    // SAFETY: as in `visit`; the mutator copies what it changes.
    unsafe {
        if node.is_null() || (*node).type_ == pg_sys::NodeTag::T_Query {
            node
        } else if is_constant_call(node) {
            scalar_subquery(node.cast())
        } else {
            raw::expression_tree_mutator(node, wrap, context)
        }
    }
}

/// Is this a call of one of our policy functions that means the same for every row?
pub unsafe fn is_constant_call(node: *mut pg_sys::Node) -> bool {
    // SAFETY: the tag says that this is a FuncExpr.
    unsafe {
        if (*node).type_ != pg_sys::NodeTag::T_FuncExpr {
            return false;
        }
        let call: *mut pg_sys::FuncExpr = node.cast();
        is_policy_function((*call).funcid) && !varies((*call).args.cast(), std::ptr::null_mut())
    }
}

/// Does the expression hold anything that may differ between rows or calls?
#[pg_guard]
unsafe extern "C-unwind" fn varies(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: as in `visit`.
    unsafe {
        if node.is_null() {
            return false;
        }
        match (*node).type_ {
            pg_sys::NodeTag::T_List
            | pg_sys::NodeTag::T_Const
            | pg_sys::NodeTag::T_NamedArgExpr
            | pg_sys::NodeTag::T_RelabelType => pg_sys::expression_tree_walker(node, Some(varies), context),
            _ => true,
        }
    }
}

/// `(select call)`, as the parser would have built it.
unsafe fn scalar_subquery(call: *mut pg_sys::Expr) -> *mut pg_sys::Node {
    // SAFETY: nodes are allocated by PostgreSQL in the current context, zeroed, with their tag set.
    unsafe {
        let target = pg_sys::makeTargetEntry(call, 1, pg_sys::pstrdup(c"value".as_ptr()), false);
        let mut query = PgBox::<pg_sys::Query>::alloc_node(pg_sys::NodeTag::T_Query);
        query.commandType = pg_sys::CmdType::CMD_SELECT;
        query.canSetTag = true;
        query.jointree = pg_sys::makeFromExpr(std::ptr::null_mut(), std::ptr::null_mut());
        query.targetList = pg_sys::lappend(std::ptr::null_mut(), target.cast());
        query.stmt_location = -1;
        let mut link = PgBox::<pg_sys::SubLink>::alloc_node(pg_sys::NodeTag::T_SubLink);
        link.subLinkType = pg_sys::SubLinkType::EXPR_SUBLINK;
        link.subselect = query.into_pg().cast();
        link.location = -1;
        link.into_pg().cast()
    }
}

/// A C function is ours when its symbol is; only a superuser can create one, so the name cannot be borrowed.
fn is_policy_function(function: pg_sys::Oid) -> bool {
    if let Some(known) = FUNCTIONS.with_borrow(|functions| functions.get(&function).copied()) {
        return known;
    }
    let answer = symbol(function).is_some_and(|symbol| policy::SYMBOLS.contains(&symbol.as_str()));
    FUNCTIONS.with_borrow_mut(|functions| functions.insert(function, answer));
    answer
}

/// The C symbol of a function in language C.
fn symbol(function: pg_sys::Oid) -> Option<String> {
    // SAFETY: the cache entry is held while its fields are read, and released before returning.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::PROCOID as i32, function.into());
        if tuple.is_null() {
            return None;
        }
        let form: *mut pg_sys::FormData_pg_proc = pg_sys::GETSTRUCT(tuple).cast();
        let symbol = if (*form).prolang == C_LANGUAGE {
            let mut null = false;
            let source = pg_sys::SysCacheGetAttr(
                pg_sys::SysCacheIdentifier::PROCOID as i32,
                tuple,
                pg_sys::Anum_pg_proc_prosrc as i16,
                &mut null,
            );
            String::from_datum(source, null)
        } else {
            None
        };
        pg_sys::ReleaseSysCache(tuple);
        symbol
    }
}

unsafe extern "C-unwind" fn forget_functions(_: pg_sys::Datum, _: i32, _: u32) {
    // An invalidation can arrive while the map is read; what cannot be cleared now is cleared by its successor.
    FUNCTIONS.with(|functions| {
        if let Ok(mut functions) = functions.try_borrow_mut() {
            functions.clear();
        }
    });
}

/// Declared here rather than taken from pgrx: its wrappers would strip context and position off every error.
pub mod raw {
    use super::*;

    type Mutator = unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> *mut pg_sys::Node;

    unsafe extern "C-unwind" {
        pub fn standard_planner(
            query: *mut pg_sys::Query,
            source: *const c_char,
            options: i32,
            parameters: pg_sys::ParamListInfo,
        ) -> *mut pg_sys::PlannedStmt;

        #[cfg_attr(not(feature = "pg15"), link_name = "expression_tree_mutator_impl")]
        pub fn expression_tree_mutator(
            node: *mut pg_sys::Node,
            mutator: Mutator,
            context: *mut c_void,
        ) -> *mut pg_sys::Node;
    }
}

thread_local! {
    static FUNCTIONS: RefCell<HashMap<pg_sys::Oid, bool>> = RefCell::new(HashMap::new());
}
static mut PREVIOUS: pg_sys::planner_hook_type = None;
/// Row of pg_language that initdb makes with a fixed number.
const C_LANGUAGE: pg_sys::Oid = pg_sys::Oid::from_u32(13);
