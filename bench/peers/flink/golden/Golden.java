import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;
import org.apache.flink.util.CloseableIterator;
import org.apache.flink.util.SerializedThrowable;

/**
 * Asks Flink for the results of expressions and queries. One JSON object a line in, one out.
 *
 * Usage: Golden REQUESTS ANSWERS
 */
public final class Golden {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static int restPort;

    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        configuration.setString("rest.bind-port", "0");
        configuration.setString("restart-strategy.type", "none");
        MiniCluster cluster = new MiniCluster(new MiniClusterConfiguration.Builder()
            .setConfiguration(configuration).setNumTaskManagers(1).setNumSlotsPerTaskManager(4).build());
        cluster.start();
        restPort = cluster.getRestAddress().get().getPort();
        try (PrintStream answers = new PrintStream(arguments[1], "UTF-8")) {
            for (String line : Files.readAllLines(Path.of(arguments[0]))) {
                JsonNode request = JSON.readTree(line);
                List<Map<String, Object>> results = request.has("expressions")
                    ? new Expressions(request).answers() : List.of(query(request));
                for (Map<String, Object> result : results) {
                    answers.println(JSON.writeValueAsString(result));
                }
            }
        }
        System.exit(0); // without waiting for the cluster's threads
    }

    static TableEnvironment environment(JsonNode request, boolean streaming) {
        Configuration configuration = new Configuration();
        configuration.setString("execution.target", "remote");
        configuration.setString("rest.address", "localhost");
        configuration.setString("rest.port", Integer.toString(restPort));
        configuration.setString("parallelism.default", "1");
        configuration.setString("pipeline.auto-watermark-interval", "0 ms");
        configuration.setString("restart-strategy.type", "none");
        configuration.setString("table.local-time-zone", request.get("zone").asText());
        EnvironmentSettings.Builder settings = EnvironmentSettings.newInstance().withConfiguration(configuration);
        TableEnvironment tables =
            TableEnvironment.create(streaming ? settings.inStreamingMode().build() : settings.inBatchMode().build());
        for (JsonNode table : request.get("tables")) {
            tables.executeSql(table.asText());
        }
        return tables;
    }

    /** All rows a streaming query emits, each with the kind of its change behind its columns. */
    private static Map<String, Object> query(JsonNode request) {
        Map<String, Object> answer = new LinkedHashMap<>();
        TableResult result;
        try {
            TableEnvironment tables = environment(request, true);
            for (JsonNode view : request.get("views")) {
                tables.executeSql(view.asText());
            }
            String text = request.get("query").asText();
            List<Object> columns = new ArrayList<>();
            for (Column column : tables.sqlQuery(text).getResolvedSchema().getColumns()) {
                String type = column.getDataType().getLogicalType().asSummaryString();
                columns.add(List.of(column.getName(), type));
            }
            result = tables.executeSql(text);
            answer.put("columns", columns);
        } catch (Throwable error) {
            refuse(answer, error);
            return answer;
        }
        List<List<Object>> rows = new ArrayList<>();
        boolean updating = false;
        try (CloseableIterator<Row> iterator = result.collect()) {
            while (iterator.hasNext()) {
                Row row = iterator.next();
                updating |= row.getKind() != RowKind.INSERT;
                List<Object> encoded = Values.encodeAll(row);
                encoded.add(row.getKind().shortString());
                rows.add(encoded);
            }
        } catch (Throwable error) {
            answer.put("failed", name(root(error)));
            answer.put("message", root(error).getMessage());
        }
        answer.put("updating", updating);
        answer.put("rows", rows);
        return answer;
    }

    static void refuse(Map<String, Object> answer, Throwable error) {
        answer.put("refused", name(error));
        answer.put("message", error.getMessage() + " / " + root(error).getMessage());
    }

    static Throwable root(Throwable error) {
        return error.getCause() == null ? error : root(error.getCause());
    }

    static String name(Throwable error) {
        String full = error instanceof SerializedThrowable remote
            ? remote.getOriginalErrorClassName() : error.getClass().getName();
        return full.substring(Math.max(full.lastIndexOf('.'), full.lastIndexOf('$')) + 1);
    }
}
