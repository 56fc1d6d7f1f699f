import java.net.URI;
import java.net.http.*;

/** Produces one customer with the JDK's own client. The sidecar protects the record. */
public class Produce {
  public static void main(String[] args) throws Exception {
    String url = System.getenv().getOrDefault("FIELDVEIL_URL", "http://127.0.0.1:8082");
    String body = """
        {"records": [{"key": "7", "value": {"id": 7, "full_name": "Ann Example", "email": "ann@example.org"}}]}""";
    HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/topics/customers"))
        .header("Content-Type", "application/vnd.kafka.json.v2+json")
        .POST(HttpRequest.BodyPublishers.ofString(body)).build();
    HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() != 200 || !answer.body().contains("\"error_code\":null"))
      throw new IllegalStateException("not delivered: " + answer.body());
    System.out.println(answer.body());
  }
}
