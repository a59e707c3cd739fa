use super::*;

#[test]
fn ids_name_an_agent_a_tenant_or_something_else() {
    let trust_domain = "agents.example";
    assert_eq!(
        parse("spiffe://agents.example/tenant/t1/agent/a1"),
        Ok(SpiffeId::Agent { trust_domain, tenant: "t1", agent: "a1" })
    );
    assert_eq!(parse("spiffe://agents.example/tenant/t1"), Ok(SpiffeId::Tenant { trust_domain, tenant: "t1" }));
    for other in
        ["", "/tenant", "/agent/a1", "/tenant/t1/agent", "/tenant/t1/agent/a1/x", "/Tenant/t1/agent/a1", "/ns/x/sa/y"]
    {
        assert_eq!(parse(&format!("spiffe://agents.example{other}")), Ok(SpiffeId::Other { trust_domain }), "{other}");
    }
}

#[test]
fn the_grammar_is_strict() {
    for uri in [
        "",
        "spiffe:",
        "spiffe://",
        "spiffe:///tenant/t1",
        "spiffe:/agents.example",
        "SPIFFE://agents.example",
        "https://agents.example",
        "spiffe://Agents.example",
        "spiffe://agents.example/",
        "spiffe://agents.example//",
        "spiffe://agents.example/tenant/",
        "spiffe://agents.example/./x",
        "spiffe://agents.example/../x",
        "spiffe://agents.example/x?",
        "spiffe://agents.example/x#",
        "spiffe://agents.example/x%41",
        "spiffe://agents.example/é",
        "spiffe://agents.example/a b",
        "spiffe://agents.example:1/x",
        "spiffe://u@agents.example/x",
        "spiffe://agents.example\\x",
        "spiffe://agents.example/x\0",
    ] {
        assert!(parse(uri).is_err(), "{uri:?}");
    }
    assert!(parse("spiffe://a-b_c.1/A.b-C_9/...").is_ok());
}

#[test]
fn lengths_are_bounded() {
    let domain = |length: usize| format!("spiffe://{}", "a".repeat(length));
    assert!(parse(&domain(255)).is_ok() && parse(&domain(256)).is_err());
    let path = |length: usize| format!("spiffe://a/{}", "x".repeat(length - 11));
    assert!(parse(&path(2048)).is_ok() && parse(&path(2049)).is_err());
    let tenant = |length: usize| format!("spiffe://a/tenant/{}", "t".repeat(length));
    assert!(matches!(parse(&tenant(255)), Ok(SpiffeId::Tenant { .. })));
    assert!(matches!(parse(&tenant(256)), Ok(SpiffeId::Other { .. })));
}
