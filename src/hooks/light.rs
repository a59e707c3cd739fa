//! Turns the scalar subqueries of a finished plan back into bare calls, where those are evaluated for a row or two.
//!
//! All or nothing per plan, and only for plans made of node types whose every expression is looked at here: a use
//! that was overlooked would read a value that nobody computes. Anything else stays as planned, which is merely a
//! microsecond slower.

use super::planner::{is_constant_call, raw};
use pgrx::PgList;
use pgrx::prelude::*;
use std::ffi::c_void;

/// Rewrites the plan in place if all of our subqueries in it are light.
#[pg_guard]
pub unsafe extern "C-unwind" fn unwrap_calls(planned: *mut pg_sys::PlannedStmt) {
    // SAFETY: a finished plan that nobody executes yet.
    unsafe {
        if (*planned).subplans.is_null() {
            return;
        }
        let mut calls = Calls { planned, found: Vec::new() };
        if !calls.collect((*planned).planTree)
            || calls.found.len() != PgList::<pg_sys::Plan>::from_pg((*planned).subplans).len()
        {
            return;
        }
        if calls.are_light((*planned).planTree) {
            calls.unwrap((*planned).planTree);
            // All subqueries were ours. The executor would make a state for each, and room for each parameter; a row
            // lock, and a change, have a parameter of their own.
            (*planned).subplans = std::ptr::null_mut();
            if (*planned).commandType == pg_sys::CmdType::CMD_SELECT && (*planned).rowMarks.is_null() {
                (*planned).paramExecTypes = std::ptr::null_mut();
            }
        }
    }
}

/// A subquery that is nothing but a call of ours, and the parameter that carries its value.
struct Call {
    parameter: i32,
    call: *mut pg_sys::Node,
}

struct Calls {
    planned: *mut pg_sys::PlannedStmt,
    found: Vec<Call>,
}

impl Calls {
    /// Gathers the calls; false when the plan has a subquery or a node type that is none of ours.
    unsafe fn collect(&mut self, plan: *mut pg_sys::Plan) -> bool {
        // SAFETY: a plan tree as the planner built it.
        unsafe {
            if plan.is_null() {
                return true;
            }
            for subplan in PgList::<pg_sys::SubPlan>::from_pg((*plan).initPlan).iter_ptr() {
                match call_of(self.planned, subplan) {
                    Some(call) => self.found.push(call),
                    None => return false,
                }
            }
            is_known(plan) && self.collect((*plan).lefttree) && self.collect((*plan).righttree)
        }
    }

    /// Is every use of the calls in the filter of a scan that looks at few rows?
    unsafe fn are_light(&mut self, plan: *mut pg_sys::Plan) -> bool {
        // SAFETY: `collect` has seen that every node is of a known type.
        unsafe {
            if plan.is_null() {
                return true;
            }
            let filtered = self.mentioned((*plan).qual);
            (!filtered || is_light_scan(plan))
                && !self.mentioned((*plan).targetlist)
                && !other_expressions(plan).into_iter().any(|list| self.mentioned(list))
                && self.are_light((*plan).lefttree)
                && self.are_light((*plan).righttree)
        }
    }

    unsafe fn mentioned(&mut self, list: *mut pg_sys::List) -> bool {
        // SAFETY: the walk ends before `self` goes out of scope.
        unsafe { mentions(list.cast(), (&raw mut *self).cast()) }
    }

    unsafe fn unwrap(&mut self, plan: *mut pg_sys::Plan) {
        // SAFETY: as in `are_light`.
        unsafe {
            if plan.is_null() {
                return;
            }
            (*plan).initPlan = std::ptr::null_mut();
            if self.mentioned((*plan).qual) {
                let qual = substitute((*plan).qual.cast(), (&raw mut *self).cast()).cast();
                (*plan).qual = without_repetitions(qual);
            }
            self.unwrap((*plan).lefttree);
            self.unwrap((*plan).righttree);
        }
    }

    fn call_for(&self, parameter: i32) -> Option<*mut pg_sys::Node> {
        self.found.iter().find(|call| call.parameter == parameter).map(|call| call.call)
    }
}

/// The call that this initplan consists of, if that is all.
unsafe fn call_of(planned: *mut pg_sys::PlannedStmt, subplan: *mut pg_sys::SubPlan) -> Option<Call> {
    // SAFETY: plan_id counts from 1 into the list of subplans.
    unsafe {
        let plan: *mut pg_sys::Plan = pg_sys::list_nth((*planned).subplans, (*subplan).plan_id - 1).cast();
        if plan.is_null() || (*plan).type_ != pg_sys::NodeTag::T_Result {
            return None;
        }
        let result: *mut pg_sys::Result = plan.cast();
        let bare = (*plan).lefttree.is_null()
            && (*plan).qual.is_null()
            && (*plan).initPlan.is_null()
            && (*result).resconstantqual.is_null();
        let targets = PgList::<pg_sys::TargetEntry>::from_pg((*plan).targetlist);
        let set = (*subplan).setParam;
        if !bare || targets.len() != 1 || set.is_null() || (*set).length != 1 {
            return None;
        }
        let call: *mut pg_sys::Node = (*targets.head()?).expr.cast();
        is_constant_call(call).then(|| Call { parameter: pg_sys::list_nth_int(set, 0), call })
    }
}

/// Node types whose expressions [`other_expressions`] lists in full.
unsafe fn is_known(plan: *mut pg_sys::Plan) -> bool {
    use pg_sys::NodeTag::*;
    // SAFETY: the tag tells the type.
    unsafe {
        match (*plan).type_ {
            T_SeqScan | T_IndexScan | T_IndexOnlyScan | T_BitmapHeapScan | T_BitmapIndexScan | T_Limit | T_LockRows
            | T_Sort | T_Agg => true,
            T_ModifyTable => (*plan.cast::<pg_sys::ModifyTable>()).operation != pg_sys::CmdType::CMD_MERGE,
            _ => false,
        }
    }
}

/// Every expression of a known node besides its filter and its output.
unsafe fn other_expressions(plan: *mut pg_sys::Plan) -> Vec<*mut pg_sys::List> {
    use pg_sys::NodeTag::*;
    // SAFETY: each cast follows the tag.
    unsafe {
        match (*plan).type_ {
            T_IndexScan => {
                let scan = &*plan.cast::<pg_sys::IndexScan>();
                vec![scan.indexqual, scan.indexqualorig, scan.indexorderby, scan.indexorderbyorig]
            }
            T_IndexOnlyScan => {
                let scan = &*plan.cast::<pg_sys::IndexOnlyScan>();
                vec![scan.indexqual, scan.recheckqual, scan.indexorderby, scan.indextlist]
            }
            T_BitmapIndexScan => {
                let scan = &*plan.cast::<pg_sys::BitmapIndexScan>();
                vec![scan.indexqual, scan.indexqualorig]
            }
            T_BitmapHeapScan => vec![(*plan.cast::<pg_sys::BitmapHeapScan>()).bitmapqualorig],
            T_Limit => {
                let limit = &*plan.cast::<pg_sys::Limit>();
                vec![limit.limitOffset.cast(), limit.limitCount.cast()]
            }
            T_ModifyTable => {
                let change = &*plan.cast::<pg_sys::ModifyTable>();
                vec![
                    change.withCheckOptionLists,
                    change.returningLists,
                    change.onConflictSet,
                    change.onConflictWhere.cast(),
                    change.exclRelTlist,
                ]
            }
            _ => Vec::new(),
        }
    }
}

/// Does this scan filter so few rows that a call for each is cheaper than starting a subquery?
unsafe fn is_light_scan(plan: *mut pg_sys::Plan) -> bool {
    use pg_sys::NodeTag::*;
    // SAFETY: the tag tells the type.
    unsafe {
        let cost = (*plan).total_cost - (*plan).startup_cost;
        match (*plan).type_ {
            T_SeqScan => cost <= LIGHT_SEQUENTIAL_COST,
            T_IndexScan | T_IndexOnlyScan | T_BitmapHeapScan => cost <= LIGHT_INDEX_COST,
            _ => false,
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn mentions(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers hand over valid nodes or NULL; the context is a `Calls`.
    unsafe {
        if node.is_null() {
            return false;
        }
        match parameter_of(node) {
            Some(parameter) => (*context.cast::<Calls>()).call_for(parameter).is_some(),
            None => pg_sys::expression_tree_walker(node, Some(mentions), context),
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn substitute(node: *mut pg_sys::Node, context: *mut c_void) -> *mut pg_sys::Node {
    // SAFETY: as in `mentions`; the mutator copies what it changes.
    unsafe {
        if node.is_null() {
            return node;
        }
        match parameter_of(node).and_then(|parameter| (*context.cast::<Calls>()).call_for(parameter)) {
            Some(call) => pg_sys::copyObjectImpl(call.cast()).cast(),
            None => raw::expression_tree_mutator(node, substitute, context),
        }
    }
}

/// A permissive and a restrictive policy of one condition, as protect_table writes them, ask the same twice.
unsafe fn without_repetitions(conditions: *mut pg_sys::List) -> *mut pg_sys::List {
    // SAFETY: a list of expressions; membership is by equality, and the order stays.
    unsafe {
        let mut kept = std::ptr::null_mut();
        for condition in PgList::<pg_sys::Node>::from_pg(conditions).iter_ptr() {
            if !pg_sys::list_member(kept, condition.cast()) || pg_sys::contain_volatile_functions(condition) {
                kept = pg_sys::lappend(kept, condition.cast());
            }
        }
        kept
    }
}

/// Number of the executor parameter that the node reads.
unsafe fn parameter_of(node: *mut pg_sys::Node) -> Option<i32> {
    // SAFETY: the tag tells the type.
    unsafe {
        if (*node).type_ != pg_sys::NodeTag::T_Param {
            return None;
        }
        let parameter: *mut pg_sys::Param = node.cast();
        ((*parameter).paramkind == pg_sys::ParamKind::PARAM_EXEC).then_some((*parameter).paramid)
    }
}

/// Planner cost up to which a sequential scan reads about twenty rows.
const LIGHT_SEQUENTIAL_COST: f64 = 1.5;
/// The same for an index scan, whose rows cost up to a page each: a look-up by a unique key stays below it.
const LIGHT_INDEX_COST: f64 = 10.0;
