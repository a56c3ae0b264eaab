<?php
// Usage: php client.php URL-OF-THE-WSDL YEAR [plain]
// Calls yearReport as a job: the only difference to an ordinary client is the class, which sends a call with
// "Prefer: respond-async", waits for its end and returns the result, from whatever program it is collected.
class JobSoapClient extends SoapClient
{
    public function __doRequest(
        string $request, string $location, string $action, int $version, bool $oneWay = false
    ): ?string {
        [$status, $fields, $body] = self::http('POST', $location, [
            'Content-Type: text/xml; charset=utf-8', "SOAPAction: \"$action\"", 'Prefer: respond-async',
        ], $request);
        $job = $fields['location'] ?? '';
        if ($status === 202) {
            fwrite(STDERR, "job: $job\n");
        }
        while ($status === 202 || ($status === 200 && $job !== '')) {
            [$status, $fields, $body] = self::http('GET', self::absolute($job, $location) . '?wait=20s');
        }
        if ($status === 302) {
            [$status, $fields, $body] = self::http('GET', self::absolute($fields['location'], $location));
        }
        return $body;
    }

    private static function absolute(string $url, string $base): string
    {
        return $url[0] === '/' ? preg_replace('#^(\w+://[^/]+).*#', '$1', $base) . $url : $url;
    }

    private static function http(string $method, string $url, array $header = [], string $content = ''): array
    {
        $options = ['method' => $method, 'header' => $header, 'content' => $content,
            'ignore_errors' => true, 'follow_location' => 0, 'timeout' => 60];
        $body = file_get_contents($url, false, stream_context_create(['http' => $options]));
        if ($body === false) {
            throw new SoapFault('HTTP', "No answer from $url");
        }
        $fields = [];
        foreach ($http_response_header as $line) {
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            $fields[strtolower($name)] = trim($value);
        }
        return [(int) explode(' ', $http_response_header[0])[1], $fields, $body];
    }
}

[, $wsdl, $year] = $argv;
$class = ($argv[3] ?? '') === 'plain' ? SoapClient::class : JobSoapClient::class;
$client = new $class($wsdl, ['cache_wsdl' => WSDL_CACHE_NONE]);
try {
    echo "count: ", (new SoapClient($wsdl, ['cache_wsdl' => WSDL_CACHE_NONE]))->count((int) $year), "\n";
    echo $client->yearReport((int) $year), "\n";
} catch (SoapFault $fault) {
    echo "fault: ", $fault->faultcode, ": ", $fault->getMessage(), "\n";
    exit(1);
}
