<?php
// A report page as they were written twenty years ago: sessions, redirects to the log-in page, and errors shown on the
// page with status 200. It knows nothing of raincheck.
ini_set('display_errors', '1');
session_start();
if (!isset($_SESSION['user'])) {
    header('Location: /login.php?back=report.php');
    exit;
}

$year = (int) ($_POST['year'] ?? 0);
$seconds = (float) ($_POST['seconds'] ?? 2);
if ($year < 2000) {
    $year = year_of_the_last_report();  // nobody ever wrote this function: "Fatal error", with status 200
}
usleep((int) ($seconds * 1e6));  // the database

header('Content-Type: text/csv; charset=utf-8');
header('Content-Disposition: attachment; filename="report-' . $year . '.csv"');
echo "month,user,turnover\r\n";
for ($month = 1; $month <= 12; $month++) {
    printf("%04d-%02d,%s,%d\r\n", $year, $month, $_SESSION['user'], $month * 1000);
}
