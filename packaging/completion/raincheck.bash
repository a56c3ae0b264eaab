# shellcheck shell=bash
# Completion of raincheck for bash. The commands and options are those that its --help has.

# _raincheck_words COMMAND...: what may come after these words, one on a line.
_raincheck_words() {
  raincheck "$@" --help 2>/dev/null | awk '
    /^[A-Z].*:$/ { commands = /^Subcommands:/ }
    /^  -/ { count = split($1, names, ","); for (i = 1; i <= count; ++i) print names[i] }
    /^  [a-z]/ && commands { print $1 }'
}

_raincheck() {
  local current=${COMP_WORDS[COMP_CWORD]} commands=() words word
  COMPREPLY=()
  words=$(_raincheck_words)
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word != -* && $'\n'$words$'\n' == *$'\n'"$word"$'\n'* ]] || continue
    commands+=("$word")
    words=$(_raincheck_words "${commands[@]}")
  done
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  # A configuration may come after every command that takes one.
  if [[ $current != -* && ${#commands[@]} -gt 0 ]]; then
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
    compopt -o filenames 2>/dev/null
  fi
}

complete -F _raincheck raincheck
