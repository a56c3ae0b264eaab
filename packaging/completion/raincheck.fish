# Completion of raincheck for fish. The commands and options are those that its --help has.

# What may come after these words, as "word<tab>what it is", one on a line.
function __raincheck_words
    raincheck $argv --help 2>/dev/null | awk '
        function tell(word, line) { sub(/^ +[^ ]+ */, "", line); print word "\t" line }
        /^[A-Z].*:$/ { commands = /^Subcommands:/ }
        /^  -/ { count = split($1, names, ","); for (i = 1; i <= count; ++i) tell(names[i], $0) }
        /^  [a-z]/ && commands { tell($1, $0) }'
end

function __raincheck_complete
    set -l commands
    set -l known (__raincheck_words)
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; and continue
        string match -q -- $word\t'*' $known; or continue
        set -a commands $word
        set known (__raincheck_words $commands)
    end
    printf '%s\n' $known
    # A configuration may come after every command that takes one.
    set -q commands[1]; and __fish_complete_path (commandline -ct)
end

complete -c raincheck -f -a '(__raincheck_complete)'
