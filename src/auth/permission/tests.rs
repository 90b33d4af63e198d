//! Tests of the table of roles and of grants.

use serde_json::json;

use super::*;

fn granted_for(documents: &Value, room: &str) -> Option<Vec<&'static str>> {
    let grants = Grants::read(documents).expect("few enough");
    let room = RoomName::parse(room).expect("a room name");
    grants.find(&room).map(Rights::names)
}

#[test]
fn every_role_gives_the_rights_of_the_contract() {
    let contract: [(&str, &[&str], Option<&str>); 6] = [
        ("viewer", &["view"], Some("view")),
        ("commenter", &["view", "comment"], Some("comment")),
        ("editor", &["view", "comment", "edit"], Some("edit")),
        ("reviewer", &["view", "comment", "review"], Some("review")),
        (
            "admin",
            &["view", "comment", "edit", "review", "manage"],
            Some("manage"),
        ),
        ("service", &["view", "edit", "publish"], Some("edit")),
    ];
    for (role, names, permission) in contract {
        let rights = Rights::of_roles(&[role]);
        assert_eq!(rights.names(), names, "{role}");
        assert_eq!(
            rights.permission().map(Permission::name),
            permission,
            "{role}"
        );
        assert_eq!(json!(rights), json!(names), "{role}");
    }
}

#[test]
fn the_rights_of_several_roles_add_up() {
    let rights = Rights::of_roles(&["editor", "reviewer"]);
    assert_eq!(rights.names(), ["view", "comment", "edit", "review"]);
}

#[test]
fn unknown_roles_and_no_roles_give_no_rights() {
    assert_eq!(Rights::of_roles::<&str>(&[]), Rights::NONE);
    let unknown = Rights::of_roles(&["owner", "Admin", "", "edit"]);
    assert_eq!(unknown, Rights::NONE);
    assert_eq!(unknown.permission(), None);
    assert_eq!(
        unknown.require(Right::View),
        Err(Error::Forbidden { needed: "view" })
    );
}

#[test]
fn every_word_of_a_grant_gives_the_rights_of_the_contract() {
    for (word, names) in [
        ("none", &[][..]),
        ("view", &["view"]),
        ("comment", &["view", "comment"]),
        ("edit", &["view", "comment", "edit"]),
        ("review", &["view", "comment", "review"]),
        ("manage", &["view", "comment", "edit", "review", "manage"]),
    ] {
        assert_eq!(granted_for(&json!({ "a": word }), "a").expect(word), names);
    }
}

#[test]
fn an_exact_name_wins_over_any_prefix() {
    let documents = json!({ "article-4*": "none", "article-42": "edit", "*": "view" });
    assert_eq!(
        granted_for(&documents, "article-42").expect("granted"),
        ["view", "comment", "edit"]
    );
}

#[test]
fn the_longest_prefix_wins_over_shorter_ones() {
    let documents = json!({ "*": "view", "article-*": "comment", "article-4*": "none" });
    assert_eq!(granted_for(&documents, "article-43"), Some(vec![]));
    assert_eq!(
        granted_for(&documents, "article-5"),
        Some(vec!["view", "comment"])
    );
    assert_eq!(granted_for(&documents, "page"), Some(vec!["view"]));
}

#[test]
fn without_a_grant_the_roles_decide() {
    assert_eq!(
        granted_for(&json!({ "a": "edit", "b-*": "edit" }), "b"),
        None
    );
    assert_eq!(granted_for(&json!({}), "a"), None);
}

#[test]
fn malformed_grants_deny_the_documents_that_they_match() {
    let documents = json!({ "a": "owner", "b-*": 7, "c": null, "d": "Edit", "e": "view" });
    for room in ["a", "b-1", "c", "d"] {
        assert_eq!(granted_for(&documents, room), Some(vec![]), "{room}");
    }
    assert_eq!(granted_for(&documents, "e"), Some(vec!["view"]));
    for no_object in [json!("edit"), json!(["a"]), json!(true)] {
        assert_eq!(granted_for(&no_object, "a"), Some(vec![]), "{no_object}");
    }
}

#[test]
fn too_many_entries_are_refused() {
    let entries = |count: usize| -> Value {
        let entry = |n: usize| (format!("room-{n}"), json!("view"));
        Value::Object((0..count).map(entry).collect())
    };
    assert!(Grants::read(&entries(1000)).is_some());
    assert!(Grants::read(&entries(1001)).is_none());
}
