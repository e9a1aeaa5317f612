"""Users, groups, roles and scopes of the story."""

import dataclasses

from scopegate_demo.idp import STORY_CLIENT_SECRET, STORY_PASSWORD, User, story_realm

REALM = story_realm()
CLIENT = REALM.clients[0]


def roles(username: str) -> tuple[str, ...]:
    user = REALM.user(username)
    assert user is not None
    return REALM.roles_of(user)


def test_the_scope_hangs_on_a_role_and_the_role_on_a_group() -> None:
    assert roles("Blog_with_scope") == ("kong_api_role",)
    assert roles("Blog_without_scope") == ()
    without_members = dataclasses.replace(REALM, groups=())
    user = without_members.user("Blog_with_scope")
    assert user is not None
    assert without_members.roles_of(user) == ()


def test_the_words_of_the_scope_come_in_the_order_of_the_story() -> None:
    with_role = REALM.scope_for(CLIENT, ["kong_api_role"], ["openid"])
    assert with_role == ("openid", "profile", "email", "kong_api_access")
    assert REALM.scope_for(CLIENT, [], ["openid"]) == ("openid", "profile", "email")


def test_asking_for_the_scope_does_not_replace_the_role() -> None:
    asked = REALM.scope_for(CLIENT, [], ["kong_api_access", "openid"])
    assert asked == ("openid", "profile", "email")


def test_openid_is_there_only_when_asked_for() -> None:
    assert REALM.scope_for(CLIENT, [], []) == ("profile", "email")


def test_users_are_found_by_name_or_email_in_any_case() -> None:
    by_name = REALM.user("BLOG_with_SCOPE")
    assert by_name is not None
    assert by_name is REALM.user("Blog_with_scope@Example.com")
    assert REALM.user("nobody") is None


def test_only_the_right_password_authenticates() -> None:
    assert REALM.authenticate("Blog_with_scope", STORY_PASSWORD) is not None
    assert REALM.authenticate("Blog_with_scope", STORY_PASSWORD.lower()) is None
    assert REALM.authenticate("Blog_with_scope", "") is None
    assert REALM.authenticate("nobody", "") is None


def test_a_subject_is_stable_and_differs_between_users() -> None:
    subjects = {user.sub for user in REALM.users}
    assert subjects == {user.sub for user in story_realm().users}
    assert len(subjects) == len(REALM.users)


def test_passwords_and_secrets_stay_out_of_reprs() -> None:
    assert STORY_PASSWORD not in repr(User("a", "a@example.com", "A", "A"))
    assert STORY_CLIENT_SECRET not in repr(REALM)
