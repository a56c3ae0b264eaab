<?php
// The log-in page of the same application.
session_start();
if (($_POST['password'] ?? '') === 'secret') {
    session_regenerate_id();
    $_SESSION['user'] = $_POST['user'] ?? 'somebody';
    header('Location: http://' . $_SERVER['HTTP_HOST'] . '/');
    exit;
}
?>
<!DOCTYPE html>
<title>Log in</title>
<form method="post">
  <input name="user"> <input name="password" type="password"> <button>Log in</button>
</form>
