<?php

// SPDX-License-Identifier: GPL-3.0-or-later

declare(strict_types=1);

/** Reports usage as OpenEMR 8: more about the clinic, and also when the installation has no id yet. */

namespace HostemrPeers;

require_once __DIR__ . '/usage.php';

$arguments = Arguments::read($argv, [...USAGE_OPTIONS, 'http-verify-ssl'], USAGE_FLAGS, USAGE_OUTCOMES);
$place = [
    'country' => 'Côte d\'Ivoire',
    'region' => 'Abidjan',
    // Not every look-up knows the city.
    'city' => null,
    'latitude' => 5.36,
    'longitude' => -4.01,
];
$population = [
    'total_patients' => '4711',
    'total_portal_patients' => '12',
    'total_users' => '9',
    'users_by_type' => [['abook_type' => '', 'user_count' => '8'], ['abook_type' => 'ord_lab', 'user_count' => '1']],
];
$modules = ['total_enabled_modules' => '5', 'custom_modules' => '3', 'laminas_modules' => '2'];
$forms = [['encounter_form_name' => 'Vitals', 'directory' => 'vitals', 'category' => 'Clinical']];
reportUsage(
    '8',
    $arguments,
    defaultVersion: '8.0.0',
    locale: \array_map(
        static fn (array $part): string => \json_encode($part, \JSON_THROW_ON_ERROR),
        [
            'location' => $place,
            'settings' => ['portal_enabled' => true],
            'populationData' => $population,
            'moduleCounts' => $modules,
            'enabledEncounterForms' => $forms,
        ]
    ),
    sendsWithoutSite: true,
    verifyTls: $arguments->number('http-verify-ssl', 1) !== 0
);
