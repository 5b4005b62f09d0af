# shellcheck shell=sh disable=SC2154,SC2034 # after shared/database.sh, places.sh
# A database client for an image that has none: Java, and the JDBC driver inside OpenMRS' own WAR.
#
# One process serves all statements, since each start of Java takes long. It reads requests from one FIFO and
# answers by another; statements and rows are in private files. It ends with this shell, however that ends.

client_pid=''

client_start() {
    war=$distribution/openmrs_core/openmrs.war
    [ -f "$war" ] || give_up "$WRONG_USE" "no $war: is this the image of OpenMRS' backend?"
    command -v java >/dev/null || give_up "$WRONG_USE" "the image has no java"
    cat >"$work/Client.java" <<'JAVA'
import java.io.*;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.cert.*;
import java.sql.*;
import java.util.*;

public class Client {
  static Path work;
  static String trust;
  static String trustPassword;
  static Driver driver;
  static boolean mysql;
  static Connection lock;

  public static void main(String[] args) throws Exception {
    work = Paths.get(args[0]);
    trust = args[2];
    trustPassword = args[3];
    driver = driver(args[1]);
    System.out.println(driver == null ? "no-driver 0" : "ready 0");
    System.out.flush();
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = requests.readLine()) != null;) {
      String[] words = line.split(" ");
      String answer;
      try {
        answer = answer(words);
      } catch (Exception e) {
        write("errors", describe(e) + "\n");
        answer = "failed 0";
      }
      System.out.println(answer);
      System.out.flush();
    }
    System.exit(0);
  }

  /** MySQL's first: the one that OpenMRS itself uses, and the only one before core 2.8. */
  static Driver driver(String war) throws Exception {
    for (String[] one : new String[][] {
        {"WEB-INF/lib/mysql-connector-(java|j)-[0-9.]+\\.jar", "com.mysql.cj.jdbc.Driver"},
        {"WEB-INF/lib/mariadb-java-client-[0-9.]+\\.jar", "org.mariadb.jdbc.Driver"}}) {
      try (java.util.zip.ZipFile file = new java.util.zip.ZipFile(war)) {
        for (java.util.zip.ZipEntry entry : Collections.list(file.entries())) {
          if (entry.getName().matches(one[0])) {
            Path jar = work.resolve("driver.jar");
            Files.copy(file.getInputStream(entry), jar);
            URL[] places = {jar.toUri().toURL()};
            mysql = one[1].startsWith("com.mysql");
            return (Driver) new URLClassLoader(places).loadClass(one[1]).getDeclaredConstructor().newInstance();
          }
        }
      }
    }
    return null;
  }

  static String answer(String[] words) throws Exception {
    switch (words[0]) {
      case "run":
        StringBuilder rows = new StringBuilder();
        write("rows", "");
        try (Connection connection = connect(words[1])) {
          run(connection, read("statements"), rows);
        } finally {
          write("rows", rows.toString());
        }
        return "ok 0";
      case "lock":
        lock = connect(words[1]);
        StringBuilder row = new StringBuilder();
        run(lock, "SET SESSION wait_timeout = 604800", row);
        run(lock, "SELECT GET_LOCK('" + words[2] + "', " + words[3] + "), CONNECTION_ID()", row);
        return row.toString().trim().replace('\t', ' ');
      case "unlock":
        if (lock != null) {
          lock.close();
        }
        return "ok 0";
      case "trust":
        trust(Paths.get(words[1]));
        return "ok 0";
      default:
        throw new IllegalArgumentException("unknown request");
    }
  }

  /** What client_file wrote: the address and who is to log in. */
  static Map<String, String> options(String file) throws IOException {
    Map<String, String> found = new HashMap<>();
    for (String line : read(file).split("\n")) {
      int at = line.indexOf('=');
      if (at < 0) {
        continue;
      }
      String value = line.substring(at + 1);
      if (value.startsWith("\"")) {
        value = value.substring(1, value.length() - 1).replaceAll("\\\\(.)", "$1");
      }
      found.put(line.substring(0, at), value);
    }
    return found;
  }

  static Connection connect(String file) throws Exception {
    Map<String, String> options = options(file);
    Properties more = new Properties();
    if (mysql) {
      more.put("sslMode", "VERIFY_IDENTITY");
      more.put("trustCertificateKeyStoreUrl", "file:" + trust);
      more.put("trustCertificateKeyStoreType", "PKCS12");
      more.put("trustCertificateKeyStorePassword", trustPassword);
    } else {
      // Version 2 knows the first word, version 3 the second.
      more.put("useSsl", "true");
      more.put("sslMode", "verify-full");
      more.put("serverSslCert", options.get("ssl-ca"));
    }
    more.put("user", options.get("user"));
    more.put("password", options.get("password"));
    more.put("connectTimeout", "10000");
    more.put("tcpKeepAlive", "true");
    more.put("allowMultiQueries", "true");
    String address = options.get("host") + ":" + options.get("port");
    Connection connection = driver.connect("jdbc:" + (mysql ? "mysql" : "mariadb") + "://" + address + "/", more);
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SHOW STATUS LIKE 'Ssl_cipher'")) {
      // Whatever a driver makes of its options.
      if (!row.next() || row.getString(2).isEmpty()) {
        connection.close();
        throw new SQLException("the connection is not encrypted", "HY000", 2026);
      }
    }
    return connection;
  }

  static void run(Connection connection, String sql, StringBuilder rows) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      boolean hasRows = statement.execute(sql);
      while (hasRows || statement.getUpdateCount() != -1) {
        if (hasRows) {
          append(statement.getResultSet(), rows);
        }
        hasRows = statement.getMoreResults();
      }
    }
  }

  static void append(ResultSet result, StringBuilder rows) throws SQLException {
    int columns = result.getMetaData().getColumnCount();
    while (result.next()) {
      for (int column = 1; column <= columns; column++) {
        String value = String.valueOf(result.getString(column));
        value = value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n");
        rows.append(value).append(column == columns ? '\n' : '\t');
      }
    }
  }

  /** All certificates of the file: keytool would take the first only, and RDS has three for each region. */
  static void trust(Path pem) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    try (InputStream in = Files.newInputStream(pem)) {
      int number = 0;
      for (java.security.cert.Certificate one : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
        store.setCertificateEntry("authority" + number++, one);
      }
      if (number == 0) {
        throw new CertificateException("no certificate");
      }
    }
    try (OutputStream out = Files.newOutputStream(Paths.get(trust))) {
      store.store(out, trustPassword.toCharArray());
    }
  }

  /** As mariadb says it, and never with the statement. */
  static String describe(Exception e) {
    int code = e instanceof SQLException ? ((SQLException) e).getErrorCode() : 0;
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof javax.net.ssl.SSLException || cause instanceof java.security.GeneralSecurityException) {
        return "ERROR 2026 (HY000): TLS: the certificate cannot be trusted: " + line(cause);
      }
    }
    if (line(e).toLowerCase().contains("hostname verification failed")) {
      code = 2026;
    }
    if (code <= 0) {
      code = 2003;
    }
    return "ERROR " + code + ": " + line(e);
  }

  static String line(Throwable e) {
    return String.valueOf(e.getMessage()).split("\n| near '|Query is")[0];
  }

  static String read(String name) throws IOException {
    return new String(Files.readAllBytes(work.resolve(name)), StandardCharsets.UTF_8);
  }

  static void write(String name, String text) throws IOException {
    Files.write(work.resolve(name), text.getBytes(StandardCharsets.UTF_8));
  }
}
JAVA
    mkfifo "$work/requests" "$work/answers"
    # In a subshell of its own: what is meant for OpenMRS' Java must not reach this one.
    (
        unset JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS
        for name in $(environment_names); do
            case $name in *PASSWORD) unset "$name" ;; esac
        done
        # Compiled as it starts: one start of Java instead of two. A test has it compiled once for all of its runs.
        if [ -n "${HOSTEMR_CLIENT_CLASSES:-}" ]; then
            set -- -cp "$HOSTEMR_CLIENT_CLASSES" Client
        else
            set -- "$work/Client.java"
        fi
        exec java -Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC "$@" "$work" "$war" "$trust" "$trust_password"
    ) <"$work/requests" >"$work/answers" 2>"$work/client.error" &
    client_pid=$!
    exec 8>"$work/requests" 7<"$work/answers"
    trap '' PIPE
    at_exit client_stop
    client_answer='' client_more=''
    read -r client_answer client_more <&7 || :
    case $client_answer in
        ready) ;;
        no-driver) give_up "$WRONG_USE" "no JDBC driver of MySQL or MariaDB in $war" ;;
        *) give_up "$WRONG_USE" "the database client does not start: a JDK is needed, 11 or later, and not a JRE:" \
            "$(grep -v '^ *at ' "$work/client.error" | head -n 1)" ;;
    esac
}

# Its end of file; and by a signal, since a child that is still there may hold the FIFO open.
client_stop() {
    [ -n "$client_pid" ] || return 0
    exec 8>&- 7<&-
    kill "$client_pid" 2>/dev/null || :
    wait "$client_pid" 2>/dev/null || :
    client_pid=''
}

# client_request WORDS: sets client_answer and client_more.
client_request() {
    client_answer=failed client_more=0
    : >"$work/errors"
    if ! { echo "$*" >&8; } 2>/dev/null || ! read -r client_answer client_more <&7; then
        client_answer=failed client_more=0
        echo 'ERROR 2013: the database client has ended' >"$work/errors"
    fi
}

client_run() {
    cat >"$work/statements"
    client_request run "${1##*/}"
    rm -f "$work/statements"
    [ ! -f "$work/rows" ] || cat "$work/rows"
    rm -f "$work/rows"
    [ "$client_answer" != ok ] || return 0
    cat "$work/errors" >&2
    return 1
}

# Sets lock_answer and lock_connection.
client_lock() {
    client_request lock "${1##*/}" "$2" "$3"
    lock_answer=$client_answer lock_connection=$client_more
}

client_unlock() {
    client_request unlock
}

# The authority that $work/authority holds, where MySQL's driver and ours look for it.
trust_authority() {
    cp "$work/authority" "$database_ca"
    chmod 644 "$database_ca"
    client_request trust "$database_ca"
    [ "$client_answer" = ok ] || give_up "$WRONG_USE" "the database's authority is not a certificate"
    chmod 644 "$trust"
}
