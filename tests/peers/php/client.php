<?php

// SPDX-License-Identifier: GPL-3.0-or-later

declare(strict_types=1);

/**
 * What our stand-ins for OpenEMR's clients share: the command line, the wire, and the one line they print.
 *
 * The stand-ins are written from the observed behaviour of the real clients. They set the same cURL options
 * and no others, because what is left out matters as much: no user agent, no redirects followed, no time limit.
 */

namespace HostemrPeers;

// A warning in a stand-in would let it conclude something the real client never saw.
\set_error_handler(static function (int $severity, string $message, string $file, int $line): never {
    throw new \ErrorException($message, 0, $severity, $file, $line);
});
// Standard output belongs to the one JSON line.
\ini_set('display_errors', 'stderr');

/** What came back for one POST; status 0 means that no answer arrived. */
final readonly class Reply
{
    public function __construct(
        public int $status,
        public string $body,
        public string $redirect,
        public string $error,
        public bool $expectedContinue,
        public bool $continued,
    ) {
    }
}

/** The options of one run, checked; a wrong command line ends the script with exit status 2. */
final readonly class Arguments
{
    /** @param array<string, string> $values */
    private function __construct(public string $baseUrl, private array $values, private string $usage)
    {
    }

    /**
     * @param list<string> $argv
     * @param list<string> $valued   names of the options that take a value
     * @param list<string> $flags    names of the options that take none
     * @param list<string> $outcomes what --expect may name, the happy one first
     */
    public static function read(array $argv, array $valued, array $flags, array $outcomes): self
    {
        $words = \array_map(static fn (string $name): string => "[--$name " . \strtoupper($name) . ']', $valued);
        $words = [...$words, ...\array_map(static fn (string $name): string => "[--$name]", $flags)];
        $usage = 'usage: php ' . \basename($argv[0]) . ' BASE_URL ' . \implode(' ', $words)
            . ' [--expect ' . \implode('|', $outcomes) . ']';
        $baseUrl = $argv[1] ?? '';
        if (\preg_match('#^https?://[^/]#', $baseUrl) !== 1) {
            wrongUse("BASE_URL is \"$baseUrl\", expected http://… or https://…", $usage);
        }
        $values = ['expect' => $outcomes[0]];
        for ($index = 2; $index < \count($argv); $index++) {
            $name = \str_starts_with($argv[$index], '--') ? \substr($argv[$index], 2) : '';
            if (\in_array($name, $flags, true)) {
                $values[$name] = '1';
            } elseif ($name !== 'expect' && !\in_array($name, $valued, true)) {
                wrongUse("\"{$argv[$index]}\" is not an option of this client", $usage);
            } elseif (!isset($argv[++$index])) {
                wrongUse("--$name needs a value", $usage);
            } else {
                $values[$name] = $argv[$index];
            }
        }
        if (!\in_array($values['expect'], $outcomes, true)) {
            wrongUse("--expect is \"{$values['expect']}\", which this client cannot conclude", $usage);
        }
        return new self(\rtrim($baseUrl, '/'), $values, $usage);
    }

    public function text(string $name, string $default): string
    {
        return $this->values[$name] ?? $default;
    }

    public function number(string $name, int $default): int
    {
        $value = $this->text($name, (string) $default);
        if (!\ctype_digit($value)) {
            wrongUse("--$name is \"$value\", expected a whole number", $this->usage);
        }
        return (int) $value;
    }

    public function given(string $flag): bool
    {
        return isset($this->values[$flag]);
    }

    /** The address to register; the empty one is the dialog's "no thanks", for which no client calls the server. */
    public function email(): string
    {
        $email = $this->text('email', '');
        if ($email === '') {
            wrongUse('--email is missing or empty: no client would send anything', $this->usage);
        }
        return $email;
    }
}

function wrongUse(string $sentence, string $usage): never
{
    \fwrite(\STDERR, "$sentence\n$usage\n");
    exit(2);
}

/** @param array<string, string> $fields */
function postForm(string $url, array $fields, bool $verifyTls): Reply
{
    // A string, not the array: cURL would send an array as multipart/form-data.
    return post($url, \http_build_query($fields), [], $verifyTls, false);
}

/** With $loseReply the server does its work, but its answer never reaches the client. */
function postJson(string $url, string $payload, bool $verifyTls, bool $loseReply = false): Reply
{
    $headers = ['Content-Type: application/json', 'Content-Length: ' . \strlen($payload)];
    return post($url, $payload, $headers, $verifyTls, $loseReply);
}

/** @param list<string> $headers */
function post(string $url, string $body, array $headers, bool $verifyTls, bool $loseReply): Reply
{
    $handle = \curl_init($url);
    \curl_setopt($handle, \CURLOPT_POST, true);
    \curl_setopt($handle, \CURLOPT_POSTFIELDS, $body);
    \curl_setopt($handle, \CURLOPT_RETURNTRANSFER, true);
    \curl_setopt($handle, \CURLOPT_SSL_VERIFYPEER, $verifyTls);
    // Set by every version, so that even a client that trusts any issuer refuses another host's certificate.
    \curl_setopt($handle, \CURLOPT_SSL_VERIFYHOST, 2);
    if ($headers !== []) {
        \curl_setopt($handle, \CURLOPT_HTTPHEADER, $headers);
    }

    // These two only watch; they change nothing that is sent.
    \curl_setopt($handle, \CURLINFO_HEADER_OUT, true);
    $continued = false;
    $watch = static function (\CurlHandle $handle, string $line) use (&$continued, $loseReply): int {
        $interim = \preg_match('#^HTTP/\S+ 1\d\d#', $line) === 1;
        $continued = $continued || $interim;
        // Any other length makes cURL drop the connection; by its first line the server has done its work.
        return $loseReply && !$interim && \str_starts_with($line, 'HTTP/') ? -1 : \strlen($line);
    };
    \curl_setopt($handle, \CURLOPT_HEADERFUNCTION, $watch);

    $answer = \curl_exec($handle);
    $sent = (string) \curl_getinfo($handle, \CURLINFO_HEADER_OUT);
    return new Reply(
        // cURL has read the status of a lost reply; a client whose connection broke has not.
        status: $loseReply ? 0 : \curl_getinfo($handle, \CURLINFO_HTTP_CODE),
        body: \is_string($answer) ? $answer : '',
        redirect: (string) \curl_getinfo($handle, \CURLINFO_REDIRECT_URL),
        error: $loseReply ? 'the reply was lost on purpose' : \curl_error($handle),
        expectedContinue: \preg_match('#^Expect:\s*100-continue#mi', $sent) === 1,
        continued: $continued,
    );
}

/**
 * Print what the client concluded, and end: 0 when it was expected, 1 with a sentence on standard error when not.
 *
 * @param array<string, mixed> $details
 */
function conclude(string $client, string $outcome, ?Reply $reply, string $expected, array $details): never
{
    $line = [
        'client' => $client,
        'status' => $reply?->status,
        'outcome' => $outcome,
        ...$details,
        'sent' => $reply !== null,
        'redirect' => $reply === null || $reply->redirect === '' ? null : $reply->redirect,
        'expectedContinue' => $reply !== null && $reply->expectedContinue,
        'continued' => $reply !== null && $reply->continued,
    ];
    echo \json_encode($line, \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES), "\n";
    if ($outcome === $expected) {
        exit(0);
    }
    $reason = match (true) {
        $reply === null => 'it refused to send anything',
        $reply->status === 0 => "no answer came ({$reply->error})",
        default => "the server answered {$reply->status} with \"" . \substr($reply->body, 0, 300) . '"',
    };
    \fwrite(\STDERR, "client $client concluded \"$outcome\", expected \"$expected\": $reason\n");
    exit(1);
}
