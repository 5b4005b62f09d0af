<?php

// SPDX-License-Identifier: GPL-3.0-or-later

declare(strict_types=1);

/** The usage report of 7.0.4 and later: the table of events, the request, and when the table may be emptied. */

namespace HostemrPeers;

require_once __DIR__ . '/client.php';

const USAGE_PATH = '/api/usage';
const USAGE_OUTCOMES = ['cleared', 'kept'];
const USAGE_OPTIONS = ['site', 'events', 'url-length', 'table', 'version', 'distribution', 'path'];
const USAGE_FLAGS = ['lose-reply'];

/** The events that wait to be reported; in a JSON file when several runs are to share them. */
final class EventTable
{
    /** @var array<string, array<string, string>> */
    private array $rows = [];

    public function __construct(private readonly string $file)
    {
        if ($file !== '' && \file_exists($file)) {
            $this->rows = \json_decode((string) \file_get_contents($file), true, 512, \JSON_THROW_ON_ERROR);
        }
    }

    public function record(string $type, string $label, string $url, string $target, string $now): void
    {
        // The real table's key: the type is no part of it, and of long columns only the beginning is.
        $key = \implode("\n", [$label, \substr($url, 0, 255), \substr($target, 0, 255)]);
        $row = $this->rows[$key] ?? ['event_type' => $type, 'event_label' => $label, 'first_event' => $now];
        $this->rows[$key] = [
            'event_type' => $row['event_type'],
            'event_label' => $row['event_label'],
            'event_url' => $url,
            'event_target' => $target,
            'first_event' => $row['first_event'],
            'last_event' => $now,
            // A string: the real client reads its rows without prepared statements, and PHP then makes
            // every number of the database a string.
            'count' => (string) ((int) ($row['count'] ?? '0') + 1),
        ];
    }

    /** @return list<array<string, string>> */
    public function rows(): array
    {
        return \array_values($this->rows);
    }

    public function clear(): void
    {
        $this->rows = [];
    }

    public function save(): void
    {
        if ($this->file !== '') {
            \file_put_contents($this->file, \json_encode($this->rows, \JSON_THROW_ON_ERROR));
        }
    }
}

/** Use the menus once: $count different actions, the same ones in every run, so that counts grow. */
function clickAround(EventTable $table, int $count, int $urlLength): void
{
    $now = \date('Y-m-d H:i:s');
    for ($number = 1; $number <= $count; $number++) {
        // Every third one is a call of the clinic's own API, which has no target.
        $api = $number % 3 === 0;
        $url = \str_pad(($api ? '/apis/default/fhir/' : '/interface/menu/') . "$number/", $urlLength, 'x');
        $table->record($api ? 'API' : 'click', "Überblick $number", $url, $api ? '' : 'pat', $now);
    }
}

/**
 * Report the table as every client since 7.0.4 does, and empty it only on an answer that proves it arrived.
 *
 * @param array<string, string> $locale what this version adds to the common fields
 */
function reportUsage(
    string $client,
    Arguments $arguments,
    string $defaultVersion,
    array $locale,
    bool $sendsWithoutSite,
    bool $verifyTls
): never {
    $site = $arguments->text('site', 'a3d0e0f2-5b1c-4c5e-9d57-0d4f6c0b7e11');
    $table = new EventTable($arguments->text('table', ''));
    clickAround($table, $arguments->number('events', 3), $arguments->number('url-length', 40));
    $payload = \json_encode(
        [
            'usageRecords' => $table->rows(),
            'localeData' => [
                'site_uuid' => $site,
                'reporting_interval' => \date('Ym', (int) \strtotime('-33 days')),
                'reporting_date' => \date('Ymd'),
                'location' => '',
                'time_zone' => 'America/New_York',
                'locale' => 'en_US_POSIX',
                'version' => $arguments->text('version', $defaultVersion),
                'environment' => 'Linux, 6.1.0, 8.2.0',
                'distribution' => $arguments->text('distribution', ''),
                'settings' => '',
                ...$locale,
            ],
        ],
        // Without further flags, as the clients do it: slashes and non-ASCII characters travel escaped.
        \JSON_THROW_ON_ERROR
    );

    $reply = null;
    if ($site !== '' || $sendsWithoutSite) {
        $url = $arguments->baseUrl . $arguments->text('path', USAGE_PATH) . '?SiteID=' . \urlencode($site);
        $reply = postJson($url, $payload, $verifyTls, $arguments->given('lose-reply'));
    }
    $details = ['records' => \count($table->rows()), 'bytes' => \strlen($payload)];
    $outcome = 'kept';
    // A good status is not enough: the body must also be something that PHP takes for true, which an
    // empty object, list or string is not. 204 has no body, so it can never empty the table.
    if ($reply !== null && \in_array($reply->status, [200, 201, 204], true) && \json_decode($reply->body, true)) {
        $table->clear();
        $outcome = 'cleared';
    }
    $table->save();
    $details['left'] = \count($table->rows());
    conclude($client, $outcome, $reply, $arguments->text('expect', ''), $details);
}
