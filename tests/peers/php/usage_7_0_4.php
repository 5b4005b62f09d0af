<?php

// SPDX-License-Identifier: GPL-3.0-or-later

declare(strict_types=1);

/** Reports usage as OpenEMR 7.0.4. */

namespace HostemrPeers;

require_once __DIR__ . '/usage.php';

$arguments = Arguments::read($argv, USAGE_OPTIONS, USAGE_FLAGS, USAGE_OUTCOMES);
reportUsage(
    '7.0.4',
    $arguments,
    defaultVersion: '7.0.4',
    // JSON in strings inside JSON. A place that could not be found is reported as the error it gave, and
    // a setting as the database holds it.
    locale: [
        'location' => \json_encode(['error' => 'IP lookup failed'], \JSON_THROW_ON_ERROR),
        'settings' => \json_encode(['portal_enabled' => '1'], \JSON_THROW_ON_ERROR),
    ],
    sendsWithoutSite: false,
    verifyTls: false
);
