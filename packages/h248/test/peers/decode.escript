#!/usr/bin/env escript
%% Decodes H.248 text messages with Erlang/OTP megaco and writes them again with its own encoder, long and short.
-mode(compile).
%% Standard input and output: a line a message, in hexadecimal. An answer is "ok PRETTY COMPACT" or "refused REASON".

main(_) ->
    case code:ensure_loaded(megaco_pretty_text_encoder) of
        {module, _} -> io:format("ready~n"), loop();
        _ -> io:format("missing~n")
    end.

loop() ->
    case io:get_line("") of
        eof -> ok;
        Line -> answer(unhex(string:trim(Line))), loop()
    end.

answer(Octets) ->
    case catch megaco_pretty_text_encoder:decode_message([], dynamic, Octets) of
        {ok, Message} ->
            io:format("ok ~s ~s~n", [encode(megaco_pretty_text_encoder, Message), encode(megaco_compact_text_encoder, Message)]);
        Refused ->
            io:format("refused ~s~n", [string:slice(lists:flatten(io_lib:format("~0p", [Refused])), 0, 400)])
    end.

encode(Codec, Message) ->
    Version = element(2, element(3, Message)),
    case catch Codec:encode_message([], Version, Message) of
        {ok, Octets} -> hex(Octets);
        _ -> "-"
    end.

unhex(Text) -> list_to_binary([list_to_integer([A, B], 16) || <<A, B>> <= list_to_binary(Text)]).
hex(Octets) -> lists:flatten([io_lib:format("~2.16.0b", [Octet]) || <<Octet>> <= iolist_to_binary(Octets)]).
