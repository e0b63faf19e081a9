%%! -noshell
%% The same work in Erlang/OTP. A version is a process; its entities are records in a map, or rows of an ETS table.
%%
%%     escript rival.erl release
%%     escript rival.erl tick|move|migrate|restore|restart ENTITIES BOX_MS LEAST MOST
%%
%% prints a line for each way, "map" and "ets", with the nanoseconds of each run.
-mode(compile).
-record(v1, {x, y, vx, vy}).
-record(v2, {x, y, vx, vy, collided}).
-define(DT, 0.016666666666666666).
-define(MOVED, 5).  % one in five

main(["release"]) ->
    io:format("~s~n", [erlang:system_info(otp_release)]);
main([Work | Numbers]) ->
    [Entities | Box] = [list_to_integer(Number) || Number <- Numbers],
    [show(Way, measure(prepare(list_to_atom(Work), Way, Entities), Box)) || Way <- [map, ets]].

show(Way, Runs) ->
    io:format("~s ~s~n", [Way, lists:join(" ", [integer_to_list(Run) || Run <- Runs])]).

%% Runs `Do` and `Undo`, and takes the time of `Do`: once to warm up, then until the box is full.
measure({Do, Undo}, [BoxMs, Least, Most]) ->
    Do(), Undo(),
    End = erlang:monotonic_time(millisecond) + BoxMs,
    measure(Do, Undo, End, Least, Most, []).

measure(Do, Undo, End, Least, Most, Runs) ->
    Done = length(Runs),
    case Done >= Least andalso (Done >= Most orelse erlang:monotonic_time(millisecond) >= End) of
        true -> lists:reverse(Runs);
        false ->
            Began = erlang:monotonic_time(nanosecond),
            Do(),
            Took = erlang:monotonic_time(nanosecond) - Began,
            Undo(),
            measure(Do, Undo, End, Least, Most, [Took | Runs])
    end.

%% What each work is: what is timed, and what brings back the state before it.
prepare(tick, Way, Entities) ->
    One = begin_with(Way, Entities),
    {fun() -> ask(One, tick) end, fun() -> ok end};
prepare(move, Way, Entities) ->
    One = begin_with(Way, Entities),
    Two = start(Entities, fun() -> born(Way, 0) end),
    Chosen = lists:sublist(shuffled(Entities), Entities div ?MOVED),
    {fun() -> ask(One, {give, Chosen, upgrade, Two}) end, fun() -> ask(Two, {give, Chosen, downgrade, One}) end};
prepare(migrate, Way, Entities) ->
    One = begin_with(Way, Entities),
    {fun() -> ask(One, {convert, upgrade}) end, fun() -> ask(One, {convert, downgrade}) end};
prepare(Kill, Way, Entities) ->
    First = begin_with(Way, Entities),
    Keeper = start(Entities, fun() -> restored(ask(First, backup)) end),
    Restart = fun() -> start(Entities, fun() -> restored(ask(Keeper, backup)) end) end,
    put(worker, Restart()),
    Do = fun() ->
        Worker = get(worker),
        Watch = monitor(process, Worker),
        exit(Worker, kill),
        receive {'DOWN', Watch, process, Worker, killed} -> ok end,
        put(worker, Restart()),
        Kill =:= restart andalso ask(get(worker), tick)
    end,
    {Do, fun() -> ok end}.

begin_with(Way, Entities) ->
    start(Entities, fun() -> born(Way, Entities) end).

%% A process that serves a state, once it has it. Its heap is as large as it will need: half the time of a tick less.
start(Entities, State) ->
    Caller = self(),
    Pid = spawn_opt(fun() ->
        Has = State(),
        Caller ! {self(), up},
        serve(Has)
    end, [{min_heap_size, 40 * Entities}]),
    receive {Pid, up} -> Pid end.

ask(Pid, What) ->
    Pid ! {self(), What},
    receive {Pid, Answer} -> Answer end.

serve(State) ->
    receive
        {From, What} ->
            {Answer, Next} = handle(What, State),
            From ! {self(), Answer},
            serve(Next)
    end.

handle(tick, State) ->
    {ok, ticked(State)};
handle({convert, How}, State) ->
    {ok, converted(How, State)};
handle({give, Ids, How, To}, State) ->
    {Given, Kept} = taken(Ids, State),
    {ask(To, {take, How, Given}), Kept};
handle({take, How, Given}, State) ->
    {ok, added(How, Given, State)};
handle(backup, State) ->
    {copied(State), State}.

born(map, Entities) ->
    maps:from_list([{Id, entity()} || Id <- lists:seq(1, Entities)]);
born(ets, Entities) ->
    Table = ets:new(entities, [set, public]),
    [ets:insert(Table, row(Id, entity())) || Id <- lists:seq(1, Entities)],
    Table.

entity() ->
    #v1{x = 1000 * rand:uniform(), y = 1000 * rand:uniform(), vx = rand:uniform(), vy = rand:uniform()}.

row(Id, #v1{x = X, y = Y, vx = Vx, vy = Vy}) -> {Id, X, Y, Vx, Vy}.

ticked(Map) when is_map(Map) ->
    maps:map(fun(_, E = #v1{x = X, y = Y, vx = Vx, vy = Vy}) -> E#v1{x = X + Vx * ?DT, y = Y + Vy * ?DT} end, Map);
ticked(Table) ->
    ets:foldl(
        fun({Id, X, Y, Vx, Vy}, ok) ->
            ets:update_element(Table, Id, [{2, X + Vx * ?DT}, {3, Y + Vy * ?DT}]),
            ok
        end, ok, Table),
    Table.

converted(How, Map) when is_map(Map) ->
    maps:map(fun(_, E) -> changed(How, E) end, Map);
converted(How, Table) ->
    ets:foldl(fun(Row, ok) -> ets:insert(Table, changed(How, Row)), ok end, ok, Table),
    Table.

changed(upgrade, #v1{x = X, y = Y, vx = Vx, vy = Vy}) -> #v2{x = X, y = Y, vx = Vx, vy = Vy, collided = false};
changed(downgrade, #v2{x = X, y = Y, vx = Vx, vy = Vy}) -> #v1{x = X, y = Y, vx = Vx, vy = Vy};
changed(upgrade, {Id, X, Y, Vx, Vy}) -> {Id, X, Y, Vx, Vy, false};
changed(downgrade, {Id, X, Y, Vx, Vy, _}) -> {Id, X, Y, Vx, Vy}.

taken(Ids, Map) when is_map(Map) ->
    lists:foldl(
        fun(Id, {Given, Kept}) ->
            {Entity, Rest} = maps:take(Id, Kept),
            {[{Id, Entity} | Given], Rest}
        end, {[], Map}, Ids);
taken(Ids, Table) ->
    {[hd(ets:take(Table, Id)) || Id <- Ids], Table}.

added(How, Given, Map) when is_map(Map) ->
    lists:foldl(fun({Id, Entity}, To) -> To#{Id => changed(How, Entity)} end, Map, Given);
added(How, Given, Table) ->
    ets:insert(Table, [changed(How, Row) || Row <- Given]),
    Table.

copied(Map) when is_map(Map) -> Map;  % the message copies it
copied(Table) -> {table, Table}.

restored({table, Backup}) ->
    Table = ets:new(entities, [set, public]),
    ets:foldl(fun(Row, ok) -> ets:insert(Table, Row), ok end, ok, Backup),
    Table;
restored(Map) ->
    Map.

shuffled(Entities) ->
    [Id || {_, Id} <- lists:sort([{rand:uniform(), Id} || Id <- lists:seq(1, Entities)])].
