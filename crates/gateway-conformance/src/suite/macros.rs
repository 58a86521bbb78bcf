//! The suite as tests: one for each rule.

/// Makes a `#[test]` of every rule of servers, named after its id and what it says, such as
/// `srv_30_head_is_held_until_data`.
///
/// The expression gives a [`Harness`](crate::Harness) and is evaluated for every test.
///
/// # Examples
///
/// ```
/// use gateway_conformance::ServerHarness;
/// use gateway_std::StdServer;
///
/// fn harness() -> ServerHarness<StdServer> {
///     ServerHarness::new("gateway-std", |errors| {
///         Ok(StdServer::bind("127.0.0.1:0")?.error_stream(errors))
///     })
/// }
///
/// gateway_conformance::server_suite!(harness());
/// ```
#[macro_export]
macro_rules! server_suite {
    ($harness:expr) => {
        $crate::for_each_server_rule! { server_suite_tests { $harness } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! server_suite_names {
    (; $($name:ident)*) => { ::std::vec![$(stringify!($name)),*] };
}

/// Hands the tests' names to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_server_rule {
    ($callback:ident { $($args:tt)* }) => {
        $crate::$callback! {
            $($args)*;
            srv_30_head_is_held_until_data
            srv_31_content_length_is_filled_in
            srv_32_declared_length_is_kept
            srv_33_too_short_a_body_is_cut
            srv_34_too_long_a_body_is_stopped
            srv_35_unknown_length_is_delimited
            srv_36_head_has_no_body
            srv_37_some_statuses_have_no_body
            srv_38_status_line_is_the_applications
            srv_39_fields_are_sent_as_given
            srv_40_date_is_there_once
            srv_41_server_is_there_once
            srv_42_hop_by_hop_is_removed
            srv_43_close_by_the_application_is_honoured
            srv_44_nothing_is_injected_into_a_head
            srv_45_an_error_becomes_its_status
            srv_46_a_panic_becomes_500
            srv_47_a_failure_after_the_head_is_cut
            srv_48_a_failure_on_http_1_0_is_a_reset
            srv_49_the_server_goes_on_after_failures
            srv_50_the_cause_is_not_shown
            srv_51_a_failure_is_logged
            srv_52_a_wrong_head_becomes_500
            srv_53_every_body_is_dropped
            srv_54_the_body_of_a_departed_peer_is_dropped
            srv_55_data_arrive_as_they_come
            srv_56_files_are_sent
            srv_57_a_file_that_shrank_is_cut
            srv_58_large_bodies_arrive_whole
            srv_59_a_slow_peer_holds_the_body_back
            srv_60_trailers_are_sent
            srv_61_write_goes_before_the_body
            srv_62_what_is_written_arrives_at_once
            srv_63_a_head_is_replaced_until_it_is_sent
            srv_64_head_hooks_run_once_innermost_first
            srv_65_end_hooks_run_once
            srv_66_early_hints_are_sent_at_once
            srv_67_no_early_hints_on_http_1_0
            srv_68_input_ends_at_its_length
            srv_69_chunked_input_is_decoded
            srv_70_input_of_nothing_has_ended
            srv_71_input_has_its_trailers
            srv_72_input_comes_in_pieces
            srv_73_continue_is_sent_when_the_input_is_read
            srv_74_no_continue_without_a_read
            srv_75_too_large_an_input_is_413
            srv_76_the_limit_can_be_raised
            srv_77_an_unread_input_is_no_request
            srv_78_a_cut_input_is_an_error
            srv_79_a_connection_is_used_again
            srv_80_close_by_the_client_is_honoured
            srv_81_http_1_0_closes
            srv_82_http_1_0_is_kept_alive
            srv_83_pipelined_requests_are_answered_in_order
            srv_84_a_half_closed_client_is_answered
            srv_85_a_request_may_come_in_any_pieces
            srv_86_what_is_no_request_is_refused
            srv_87_ambiguous_framing_is_refused
            srv_88_too_long_a_head_is_refused
            srv_89_an_upgrade_gives_the_connection
            srv_90_an_upgrade_is_an_offer
            srv_91_an_upgrade_needs_an_offer
            srv_92_every_kind_of_reply_is_served
            srv_93_the_application_is_called_once
            srv_94_a_blocking_application_stalls_nobody
            srv_95_a_pending_reply_stalls_nobody
            srv_96_blocking_works_where_it_may
            srv_97_disconnected_becomes_ready
            srv_98_a_departure_can_be_asked_for
            srv_99_cancel_on_drops_the_work
            srv_100_an_application_runs_to_its_end
            srv_101_writes_to_a_departed_peer_fail
            srv_102_end_hooks_tell_of_a_departure
            srv_103_leaked_handles_reach_nothing
            srv_104_method_version_and_scheme_are_told
            srv_105_header_fields_are_told
            srv_106_the_authority_is_told
            srv_107_cgi_variables_are_told
            srv_108_cgi_variables_of_fields_are_told
            srv_109_cgi_variables_cannot_be_spoofed
            srv_110_addresses_are_told
            srv_111_the_servers_facts_are_told
            srv_112_facts_before_serving_are_the_same
            srv_113_the_target_is_raw
            srv_114_the_path_is_decoded_once
            srv_115_the_query_is_raw
            srv_116_other_forms_of_targets_are_taken
            srv_117_mounted_applications_find_their_place
            srv_118_requests_in_flight_finish
            srv_119_idle_connections_end_at_a_stop
            srv_120_the_deadline_cuts_and_counts
            srv_121_the_application_is_dropped_at_the_end
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! server_suite_tests {
    ($harness:expr; $($name:ident)*) => {$(
        #[test]
        fn $name() {
            $crate::assert_rule(&$harness, stringify!($name));
        }
    )*};
}

#[cfg(test)]
mod tests {
    use super::super::server_test::{self, ServerRule};

    #[test]
    fn every_rule_has_its_test() {
        let names: Vec<&str> = crate::for_each_server_rule! { server_suite_names {} };
        let rules: Vec<String> = server_test::all().map(ServerRule::test_name).collect();
        assert_eq!(names, rules.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn ids_count_up() {
        let ids: Vec<&str> = server_test::all().map(|rule| rule.rule.id).collect();
        let expected: Vec<String> = (30..).take(ids.len()).map(|n| format!("SRV-{n}")).collect();
        assert_eq!(ids, expected);
    }
}
