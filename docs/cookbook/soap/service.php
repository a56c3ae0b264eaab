<?php
// A SOAP 1.1 service: one quick operation, and one that takes seconds. Faults are answered with 500, as the standard
// says. GET /soap/orders?wsdl gives its description, with the address by which it knows itself.
class Orders
{
    public function count($year)
    {
        return $year % 100;
    }

    public function yearReport($year)
    {
        if ($year < 2000) {
            throw new SoapFault('Client', "There are no orders of $year.");
        }
        sleep(2);
        $lines = [];
        for ($month = 1; $month <= 12; $month++) {
            $lines[] = sprintf('%04d-%02d: %d', $year, $month, $month * 1000);
        }
        return implode("\n", $lines);
    }
}

$server = new SoapServer(__DIR__ . '/orders.wsdl');
$server->setClass('Orders');
$server->handle();
