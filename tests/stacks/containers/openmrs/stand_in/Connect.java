import java.io.FileInputStream;
import java.sql.*;
import java.util.Properties;

public class Connect {
  public static void main(String[] args) throws Exception {
    Properties found = new Properties();
    try (FileInputStream file = new FileInputStream(args[0])) {
      found.load(file);
    }
    // MariaDB's driver has a word of its own for "with TLS"; the other words of MySQL's it understands.
    String url = found.getProperty("connection.url") + "&useSSL=true";
    try (Connection connection = DriverManager.getConnection(
            url, found.getProperty("connection.username"), found.getProperty("connection.password"));
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SHOW STATUS LIKE 'Ssl_version'")) {
      row.next();
      System.out.println(row.getString(2) + " " + connection.getCatalog());
    }
  }
}
