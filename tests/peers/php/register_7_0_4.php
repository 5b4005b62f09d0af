<?php

// SPDX-License-Identifier: GPL-3.0-or-later

declare(strict_types=1);

/** Registers as OpenEMR 7.0.4: the address is trimmed and checked on the clinic's own server first. */

namespace HostemrPeers;

require_once __DIR__ . '/registration.php';

const CLIENT = '7.0.4';

$arguments = Arguments::read($argv, ['email', 'version', 'distribution', 'path'], [], REGISTRATION_OUTCOMES);
$email = \trim($arguments->email());
if (\filter_var($email, \FILTER_VALIDATE_EMAIL) === false) {
    refuseToSend(CLIENT, $arguments);
}
registerWithVersion(CLIENT, $arguments, $email, defaultVersion: '7.0.4', verifyTls: false);
