# Reads orders as CSV and prints groff source: one invoice a page, then a list of all orders.
# Bad input ends with status 1 and what is wrong on standard error, with its line number.

function refuse(problem) {
  printf "line %d: %s\n", NR, problem > "/dev/stderr"
  failed = 1
  exit 1
}

# Splits a CSV record with quoted fields into cells[1..n] and returns n, or -1 if a quote is left open.
function split_csv(record, cells,    n, field, quoted, i, c) {
  n = 0; field = ""; quoted = 0
  for (i = 1; i <= length(record); i++) {
    c = substr(record, i, 1)
    if (quoted && c == "\"" && substr(record, i + 1, 1) == "\"") { field = field "\""; i++ }
    else if (c == "\"") quoted = !quoted
    else if (c == "," && !quoted) { cells[++n] = field; field = "" }
    else field = field c
  }
  cells[++n] = field
  return quoted ? -1 : n
}

# Text as groff shall print it: nothing that was posted is a request, an escape or a table column.
function plain(text) {
  gsub(/\\/, "\\(rs", text)
  gsub(/[\t\r]/, " ", text)
  return "\\&" text
}

function end_table() {
  if (order == "") return
  printf "_\nTotal\t\t\t%.2f\n.TE\n", total
  summary[++orders] = sprintf("%s\t%s\t%s\t%.2f", plain(order), plain(date), plain(name), total)
  sum += total
}

function begin_invoice() {
  order = cell[1]; date = cell[2]; name = cell[3]; total = 0
  if (orders > 0) print ".bp"
  printf ".LP\n.ps 22\n.vs 26\n\\fBInvoice %s\\fP\n.br\n.ps 11\n.vs 14\n", plain(order)
  printf ".sp 1\n%s\n.br\n%s\n.sp 1\nOrdered on %s\n.sp 2\n", plain(name), plain(cell[4]), plain(date)
  print ".TS H\nexpand;\nlb rb rb rb\nl n n n."
  print "Item\tQuantity\tUnit price\tAmount\n_\n.TH"
}

NR == 1 {
  sub(/^\357\273\277/, ""); sub(/\r$/, "")
  if ($0 != "order,date,customer,city,item,quantity,unit_price")
    refuse("the header must be order,date,customer,city,item,quantity,unit_price")
  print ".nr PO 1.2i\n.nr LL 6i\n.nr HM 1i\n.ds CH\n.ds CF \\\\n%"
  next
}

{
  sub(/\r$/, "")
  if ($0 == "") next
  fields = split_csv($0, cell)
  if (fields < 0) refuse("a quote is not closed")
  if (fields != 7) refuse("7 fields expected, " fields " found")
  if (cell[6] !~ /^[0-9]+$/) refuse("quantity is not a whole number: " cell[6])
  if (cell[7] !~ /^[0-9]+(\.[0-9]+)?$/) refuse("unit_price is not a number: " cell[7])
  if (cell[1] != order) { end_table(); begin_invoice() }
  printf "%s\t%d\t%.2f\t%.2f\n", plain(cell[5]), cell[6], cell[7], cell[6] * cell[7]
  total += cell[6] * cell[7]
}

END {
  if (failed) exit 1
  if (order == "") refuse("no orders")
  end_table()
  print ".bp\n.LP\n.ps 22\n.vs 26\n\\fBAll orders\\fP\n.ps 11\n.vs 14\n.sp 1"
  print ".TS H\nexpand;\nlb lb lb rb\nl l l n.\nOrder\tDate\tCustomer\tAmount\n_\n.TH"
  for (i = 1; i <= orders; i++) print summary[i]
  printf "_\nTotal\t\t\t%.2f\n.TE\n", sum
}
