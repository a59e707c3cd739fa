//! What a CA can demand of everyone below: names and policies (RFC 5280 sections 4.2.1.10 to 4.2.1.14).

use crate::recipe::*;

#[test]
fn name_constraints_bind_everyone_below() {
    let base = |name: Vec<u8>| permitted(&[name]);
    let check = |constraints: Vec<u8>, names: &[Vec<u8>]| {
        let mut world = World::new();
        world.root = world.root.with(constraints);
        world.agent = world.agent.instead(alt_names(names));
        slug(&world.check())
    };
    let violated = "name_constraint_violated";
    let agents = || base(dns("agents.example"));
    assert_eq!(check(agents(), &[uri(AGENT_ID), dns("a1.t1.agents.example")]), "valid");
    assert_eq!(check(agents(), &[uri(AGENT_ID), dns("agents.example")]), "valid");
    assert_eq!(check(agents(), &[uri(AGENT_ID)]), "valid", "no name of the kind");
    assert_eq!(check(agents(), &[uri(AGENT_ID), dns("notagents.example")]), violated);
    assert_eq!(check(agents(), &[dns("a1.agents.example"), dns("example")]), violated);
    // URIs by host, as RFC 5280 has it: a host is exact, a domain with a dot is for all below.
    assert_eq!(check(base(uri("agents.example")), &[uri(AGENT_ID)]), "valid");
    assert_eq!(check(base(uri(".example")), &[uri(AGENT_ID)]), "valid");
    assert_eq!(check(base(uri("example")), &[uri(AGENT_ID)]), violated);
    assert_eq!(check(base(uri("agents.example")), &[uri("urn:kakunin:agent:a1")]), violated, "no host to compare");
    // Directory names hold for the subject, of intermediates too.
    let directory = |name: Vec<u8>| permitted(&[tlv(0xa4, &name)]);
    assert_eq!(check(directory(common_name("nobody")), &[uri(AGENT_ID)]), violated);
    let mut world = World::new();
    world.intermediate = world.intermediate.with(directory(name(&[("2.5.4.10", utf8("T1"))])));
    assert_eq!(slug(&world.check()), violated);
    world.agent.subject = name(&[("2.5.4.10", utf8("t1")), ("2.5.4.3", utf8("a1"))]);
    assert_eq!(slug(&world.check()), "valid");
    // Kinds that nobody here can compare.
    let other_name = || tlv(0xa0, &[oid("1.2.3.4"), tlv(0xa0, &utf8("x"))].concat());
    assert_eq!(check(permitted(&[other_name()]), &[uri(AGENT_ID)]), "valid");
    assert_eq!(check(permitted(&[other_name()]), &[uri(AGENT_ID), other_name()]), violated);
}

#[test]
fn a_required_policy_must_hold_along_the_path() {
    let policies = |list: &[&str]| {
        let content: Vec<u8> = list.iter().flat_map(|policy| sequence(&[&oid(policy)])).collect();
        extension("2.5.29.32", false, &tlv(0x30, &content))
    };
    let require_explicit = extension("2.5.29.36", true, &sequence(&[&[0x80, 1, 0]]));
    let check = |intermediate: &[&str], agent: &[&str]| {
        let mut world = World::new();
        world.intermediate = world.intermediate.with(require_explicit.clone());
        if !intermediate.is_empty() {
            world.intermediate = world.intermediate.with(policies(intermediate));
        }
        if !agent.is_empty() {
            world.agent = world.agent.with(policies(agent));
        }
        slug(&world.check())
    };
    let (a, b, any) = ("1.3.6.1.4.1.32473.1", "1.3.6.1.4.1.32473.2", "2.5.29.32.0");
    for (intermediate, agent, expected) in [
        (&[a][..], &[a][..], "valid"),
        (&[a, b], &[b], "valid"),
        (&[any], &[b], "valid"),
        (&[a], &[any], "valid"),
        (&[a], &[b], "policy_not_satisfied"),
        (&[a], &[], "policy_not_satisfied"),
        (&[], &[a], "policy_not_satisfied"),
    ] {
        assert_eq!(check(intermediate, agent), expected, "{intermediate:?} {agent:?}");
    }
    // Mapped: what the intermediate's a means is called b below.
    let mapping = extension("2.5.29.33", true, &sequence(&[&sequence(&[&oid(a), &oid(b)])]));
    let mut world = World::new();
    world.intermediate = world.intermediate.with(require_explicit.clone()).with(policies(&[a])).with(mapping.clone());
    world.agent = world.agent.with(policies(&[b]));
    assert_eq!(slug(&world.check()), "valid");
    world.root = world.root.with(extension("2.5.29.36", true, &sequence(&[&[0x81, 1, 0]])));
    assert_eq!(slug(&world.check()), "policy_not_satisfied", "the root inhibits mapping");
    let mapping = extension("2.5.29.33", true, &sequence(&[&sequence(&[&oid(a), &oid(any)])]));
    let mut world = World::new();
    world.intermediate = world.intermediate.with(policies(&[a])).with(mapping);
    assert_eq!(slug(&world.check()), "policy_not_satisfied", "any-policy cannot be mapped");
}
