<?php

// SPDX-License-Identifier: GPL-3.0-or-later

declare(strict_types=1);

/** Registers as OpenEMR 5.0.2 to 7.0.3: the address goes out as it was typed, as long as it has an @. */

namespace HostemrPeers;

require_once __DIR__ . '/registration.php';

const CLIENT = '5.0.2';

$arguments = Arguments::read(
    $argv,
    ['email', 'version', 'distribution', 'path'],
    ['date'],
    REGISTRATION_OUTCOMES
);
$email = $arguments->email();
if (!looksLikeAnAddress($email)) {
    refuseToSend(CLIENT, $arguments);
}
registerWithVersion(CLIENT, $arguments, $email, defaultVersion: '7.0.3 (1)', verifyTls: false);
