/* The C interface alone: C99, no C++ anywhere in the program. Prints the likeliest class of a grey picture. */
#include <dunlin/dunlin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const DunlinError* error) {
    fprintf(stderr, "%s\n", error->message);
    return EXIT_FAILURE;
}

static int classify(DunlinSession session) {
    enum { WIDTH = 320, HEIGHT = 240 };
    static uint8_t rgba[HEIGHT][WIDTH][4];
    DunlinError error;
    DunlinSessionInfo info = {.sType = DUNLIN_STRUCTURE_TYPE_SESSION_INFO};
    if (dunlinGetSessionInfo(session, &info, &error) != DUNLIN_SUCCESS) return fail(&error);
    DunlinOutputInfo top = {.sType = DUNLIN_STRUCTURE_TYPE_OUTPUT_INFO};
    if (dunlinFindOutput(session, "top_classes", &top, &error) != DUNLIN_SUCCESS) return fail(&error);

    unsigned char* output = malloc((size_t)info.outputBytes);
    if (!output) return EXIT_FAILURE;
    memset(rgba, 128, sizeof rgba);
    DunlinPicture picture = {.pixels = &rgba[0][0][0], .width = WIDTH, .height = HEIGHT};
    DunlinHostInput input = {.sType = DUNLIN_STRUCTURE_TYPE_HOST_INPUT, .pictureCount = 1, .pictures = &picture};
    int status = EXIT_SUCCESS;
    if (dunlinRun(session, &input, output, (size_t)info.outputBytes, &error) == DUNLIN_SUCCESS) {
        uint32_t likeliest;
        memcpy(&likeliest, output + top.offsetBytes, sizeof likeliest);
        printf("%u\n", (unsigned)likeliest);
    } else {
        status = fail(&error);
    }
    free(output);
    return status;
}

int main(void) {
    DunlinError error;
    DunlinDeviceOptions cpu = {.sType = DUNLIN_STRUCTURE_TYPE_DEVICE_OPTIONS, .id = "cpu", .threads = 1};
    DunlinModelOptions formula = {.sType = DUNLIN_STRUCTURE_TYPE_MODEL_OPTIONS, .weights = "synthetic"};
    DunlinDevice device = NULL;
    DunlinModel model = NULL;
    DunlinSession session = NULL;
    int status;
    if (dunlinCreateDevice(&cpu, &device, &error) != DUNLIN_SUCCESS ||
        dunlinOpenModel("mobilenetv3_small_100", &formula, &model, &error) != DUNLIN_SUCCESS ||
        dunlinCreateSession(device, model, NULL, &session, &error) != DUNLIN_SUCCESS) {
        status = fail(&error);
    } else {
        status = classify(session);
    }
    dunlinDestroySession(session);
    dunlinDestroyModel(model);
    dunlinDestroyDevice(device);
    return status;
}
