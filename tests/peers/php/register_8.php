<?php

// SPDX-License-Identifier: GPL-3.0-or-later

declare(strict_types=1);

/** Registers as OpenEMR 8: as 7.0.4, but the server's certificate must be trusted unless a setting says no. */

namespace HostemrPeers;

require_once __DIR__ . '/registration.php';

const CLIENT = '8';

$arguments = Arguments::read(
    $argv,
    ['email', 'version', 'distribution', 'path', 'http-verify-ssl'],
    [],
    REGISTRATION_OUTCOMES
);
$email = \trim($arguments->email());
if (\filter_var($email, \FILTER_VALIDATE_EMAIL) === false) {
    refuseToSend(CLIENT, $arguments);
}
$verifyTls = $arguments->number('http-verify-ssl', 1) !== 0;
registerWithVersion(CLIENT, $arguments, $email, defaultVersion: '8.0.0', verifyTls: $verifyTls);
